"""Samples that fit on the device: an epoch of them is one chunk."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxae.training._checksum import checksum
from jaxae.training._layout import Layout
from jaxae.training._loop import Chunk
from jaxae.training._order import fitting, in_order, shuffled
from jaxae.training._streamed import Streamable, Streamed, samples_a_chunk

TEST_BATCH_SIZE = 1000


@runtime_checkable
class Source(Protocol):
    """Where an epoch's chunks come from: samples on the device, or a stream.

    All chunks have the same shapes, so that the loop is compiled once: what is missing is padding.
    """

    @property
    def samples(self) -> int:
        """How many samples there are."""
        ...

    @property
    def batch_size(self) -> int:
        """How many make one update."""
        ...

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of one."""
        ...

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        ...

    @property
    def batches_a_chunk(self) -> int:
        """How many of them are in one chunk."""
        ...

    def chunks(self, key: Key[Array, "..."], epoch: int, first: int) -> Iterator[Chunk]:
        """An epoch's chunks in an order of its own, from chunk `first` on."""
        ...

    def in_order(self) -> Iterator[Chunk]:
        """All samples once, in their own order."""
        ...

    def fingerprint(self) -> str:
        """What tells these data from others."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Resident:
    """Samples on the device.

    Args:
        rows: all of them, shape (N, ...); zeros may follow them.
        samples: how many there are.
        batch_size: how many make one update.
        layout: the devices that they are on.
    """

    rows: Float[Array, "N ..."]
    samples: int
    batch_size: int
    layout: Layout

    @classmethod
    def of(cls, name: str, samples: Any, batch_size: int | None, layout: Layout) -> "Resident":
        """Samples checked, converted to floats of 32 bits or more, and put on the device.

        Raises:
            TypeError: samples that are not floating point.
            ValueError: samples that are none or not finite; a batch size that does not fit.
        """
        rows = _checked(name, samples)
        batch_size = fitting(batch_size, len(rows))
        return cls(layout.place_data(rows), len(rows), batch_size, layout)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.rows.shape[1:]

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        return -(-self.samples // self.batch_size)

    @property
    def batches_a_chunk(self) -> int:
        """All of them."""
        return self.batches

    def chunks(self, key: Key[Array, "..."], epoch: int, first: int) -> Iterator[Chunk]:
        """The epoch's only chunk."""
        yield self._chunk(self._orders(key, epoch))

    def in_order(self) -> Iterator[Chunk]:
        """All samples once, as one chunk."""
        yield self._chunk(in_order(self.samples, self.batch_size, self.layout.count))

    def fingerprint(self) -> str:
        """How many samples of which shape, and the checksum of all their bits."""
        bits = int(jax.jit(checksum)(self.rows))
        shape = "×".join(map(str, (self.samples, *self.feature_shape)))
        return f"{shape} {self.rows.dtype} {bits:08x}"

    def _orders(self, key: Key[Array, "..."], epoch: int) -> np.ndarray:
        """The epoch's order by each key; of several, one for each model, along the second axis."""
        if key.ndim:
            return np.stack([self._orders(one, epoch) for one in key], axis=1)
        return shuffled(key, epoch, self.samples, self.batch_size, self.layout.count)

    def _chunk(self, order: np.ndarray) -> Chunk:
        return Chunk(self.rows, None, self.layout.place(order))


def source_of(name: str, samples: Any, batch_size: int | None, layout: Layout) -> Source:
    """Samples as a Source: a stream in chunks, an array all at once on the device.

    Raises:
        TypeError: samples that are not floating point.
        ValueError: samples that are none or not finite; a batch size that does not fit.
    """
    if isinstance(samples, Streamable):
        return Streamed(samples, fitting(batch_size, len(samples)), layout)
    return Resident.of(name, samples, batch_size, layout)


def source_for_test(samples: Any, microbatch_size: int | None, layout: Layout) -> Source:
    """Test samples as a Source, of batches that need no more memory than those of training.

    They are of a microbatch at most, and of some megabytes.

    Raises:
        TypeError: samples that are not floating point.
        ValueError: samples that are none or not finite.
    """
    shape = samples.feature_shape if isinstance(samples, Streamable) else np.shape(samples)[1:]
    most = min(TEST_BATCH_SIZE, samples_a_chunk(shape))
    return source_of("test data", samples, min(most, microbatch_size or most), layout)


def _checked(name: str, samples: Any) -> Any:
    """Samples as floats of 32 bits or more, where they are: on the host or on devices."""
    on_host = not isinstance(samples, jax.Array)
    samples = np.asarray(samples) if on_host else samples
    if not jnp.issubdtype(samples.dtype, jnp.floating):
        raise TypeError(
            f"{name} has dtype {samples.dtype}, expected a floating dtype; jaxae.data.load scales "
            "integers to [0, 1], or divide by their full scale, e.g. X.astype('float32') / 255"
        )
    if samples.ndim == 0 or len(samples) == 0:
        raise ValueError(f"{name} has shape {samples.shape}, expected one sample or more")
    dtype = jax.dtypes.canonicalize_dtype(jnp.promote_types(samples.dtype, jnp.float32))
    # A copy: devices may share the host's memory, which the caller may write to.
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        samples = samples.astype(dtype)
    if not (np if on_host else jnp).isfinite(samples).all():
        raise ValueError(f"{name} holds NaN or infinity; remove or replace them before training")
    return samples
