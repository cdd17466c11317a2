"""One epoch over data that live on the device, in pieces short enough to report and to stop."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxae.training._history import Epoch
from jaxae.training._loop import Progress, advance, begin, data_loss, epoch_loss, finite
from jaxae.training._order import in_order, shuffled
from jaxae.training._progress import Report
from jaxae.training._state import State
from jaxae.training._step import Step

# The loop comes back to Python about this often, for the progress bar and for Ctrl-C.
SECONDS_A_PIECE = 0.5
TEST_BATCH_SIZE = 1000


class Data(NamedTuple):
    """Samples on the device.

    Args:
        train: what is trained on, shape (N, ...).
        test: what is evaluated after each epoch, or None.
        batch_size: how many training samples make one update.
    """

    train: Float[Array, "N ..."]
    test: Float[Array, "M ..."] | None
    batch_size: int

    @classmethod
    def resident(cls, data: Any, batch_size: int | None) -> "Data":
        """Samples, or a Dataset's train and test samples, checked and put on the device.

        Raises:
            TypeError: samples that are not floating point.
            ValueError: samples that are none or not finite; a batch size that does not fit.
        """
        train = _checked("data", getattr(data, "train", data))
        test = getattr(data, "test", None)
        batch_size = min(100, len(train)) if batch_size is None else batch_size
        if not 1 <= batch_size <= len(train):
            raise ValueError(
                f"batch_size is {batch_size}, expected between 1 and the number of training "
                f"samples, {len(train)}"
            )
        return cls(train, None if test is None else _checked("test data", test), batch_size)

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.train) // self.batch_size)


def compile_epoch(step: Step, state: State, data: Data) -> Progress:
    """Compile all that an epoch runs, without a single step; the Progress to begin at."""
    order = jnp.asarray(in_order(len(data.train), data.batch_size))
    progress = advance(step, begin(step, state, data.train, order), data.train, order, 0)
    return jax.block_until_ready((progress, _losses(step, progress, data)))[0]


def run_epoch(
    step: Step, progress: Progress, data: Data, epoch: int, rate: float, report: Report
) -> tuple[Progress, Epoch]:
    """Every training sample once, in an order of the epoch's own.

    Args:
        step: what is done with each batch.
        progress: where the epoch before ended.
        data: what is trained on.
        epoch: counted from 1.
        rate: samples per second in the epoch before, 0 if unknown, which sizes the pieces.
        report: is told after each piece how far the epoch is.

    Returns:
        The Progress at the end, and the epoch's row.

    Raises:
        FloatingPointError: a loss, or the parameters after the epoch, are not finite.
    """
    start, batch = time.perf_counter(), 0
    order = shuffled(progress.state.key, epoch, len(data.train), data.batch_size)
    order, progress = jnp.asarray(order), progress._replace(next=jnp.int32(0))
    while batch < data.batches and jnp.isfinite(progress.loss):
        piece = max(1, int(SECONDS_A_PIECE * rate / data.batch_size))
        stop = min(batch + piece, data.batches)
        progress = jax.block_until_ready(advance(step, progress, data.train, order, stop))
        batch = int(progress.next)
        samples = min(len(data.train), batch * data.batch_size)
        rate = samples / (time.perf_counter() - start)
        report(epoch, batch, float(progress.loss), rate)
    losses = _losses(step, progress, data)
    if not finite(progress, losses):
        raise FloatingPointError(
            f"loss or parameters not finite in batch {batch} of epoch {epoch}; lower the learning "
            "rate"
        )
    return progress, Epoch(epoch, *map(float, losses), samples_per_second=rate)


def _losses(step: Step, progress: Progress, data: Data) -> tuple[Array, ...]:
    """The training loss, and the test loss if there are test samples."""
    train_loss = epoch_loss(step, progress.means)
    if data.test is None:
        return (train_loss,)
    order = in_order(len(data.test), min(len(data.test), TEST_BATCH_SIZE))
    return train_loss, data_loss(step, progress.state, data.test, jnp.asarray(order))


def _checked(name: str, samples: Any) -> Float[Array, "N ..."]:
    samples = samples if isinstance(samples, jax.Array) else np.asarray(samples)
    if not jnp.issubdtype(samples.dtype, jnp.floating):
        raise TypeError(
            f"{name} has dtype {samples.dtype}, expected a floating dtype; jaxae.data.load scales "
            "integers to [0, 1], or divide by their full scale, e.g. X.astype('float32') / 255"
        )
    if samples.ndim == 0 or len(samples) == 0:
        raise ValueError(f"{name} has shape {samples.shape}, expected one sample or more")
    samples = jnp.asarray(samples)
    samples = samples.astype(jnp.promote_types(samples.dtype, jnp.float32))
    if not jnp.isfinite(samples).all():
        raise ValueError(f"{name} holds NaN or infinity; remove or replace them before training")
    return samples
