"""Fit: the only Python loop of training, and it is thin."""

import functools
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax
from jaxtyping import PRNGKeyArray

from jaxae.losses import BaseLoss
from jaxae.objectives import Objective, Term, reconstruction
from jaxae.training._epoch import Data, compile_epoch, run_epoch
from jaxae.training._history import Epoch, History
from jaxae.training._progress import progress_bar
from jaxae.training._state import Model, initial_state, trained_model
from jaxae.training._step import Step


def fit(
    model: Model,
    data: Any,
    *,
    loss: BaseLoss | None = None,
    objective: Mapping[str, Term] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int = 10,
    batch_size: int | None = None,
    key: PRNGKeyArray | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    show_progress: bool = True,
) -> tuple[Model, History]:
    """Train an autoencoder to reconstruct its data.

    Each epoch visits every sample once, in a new order. The ragged last batch counts at its true
    weight: it is padded, and padding reaches nothing. The same key gives the same result, bit for
    bit, on the same device and versions.

    Args:
        model: an autoencoder, written for one sample; it is not changed.
        data: samples of shape (N, *feature_shape), or a Dataset, whose test samples are then
            evaluated after each epoch.
        loss: what is minimised between reconstruction and data, e.g. `jaxae.losses.bce`.
        objective: named terms, instead of a loss.
        optimizer: an optax gradient transformation; Adam with a learning rate of 1e-3 by default.
            The same object again does not compile again.
        epochs: how often the data are visited.
        batch_size: how many samples make one update; 100 by default, or all if there are fewer.
        key: a random key for order and noise; `jax.random.key(0)` by default.
        on_epoch: called with each epoch's row when the epoch is done.
        show_progress: whether a bar is shown.

    Returns:
        `model, history`: a trained copy of the model, and the History. Ctrl-C, and numbers that are
        not finite, end training with the epochs that are done; `history.stopped` then says why.

    Raises:
        TypeError: both or none of `loss` and `objective`, or an argument of another type.
        ValueError: data that are empty, not finite or not of the model's feature shape; a batch
            size above the number of samples; a number of epochs or a batch size below 1.
        FloatingPointError: a loss or parameters that are not finite in the first epoch.
        KeyboardInterrupt: Ctrl-C before the first epoch is done.

    Warns:
        UserWarning: training was stopped after it, why, and which epochs are kept.

    Example:
        >>> from jaxae.losses import bce
        >>> from jaxae.models import MLPAutoencoder
        >>> X = jax.random.uniform(jax.random.key(1), (200, 8, 8))
        >>> model = MLPAutoencoder((8, 8), widths=(16, 4))
        >>> model, history = fit(model, X, loss=bce, epochs=3, show_progress=False)
        >>> history[-1].train_loss < history[0].train_loss
        True
    """
    objective = _objective(loss, objective)
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, expected at least 1")
    key = jax.random.key(0) if key is None else key
    optimizer = _default_optimizer() if optimizer is None else optimizer
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"optimizer is {optimizer!r}, expected e.g. optax.adam(1e-3)")
    resident = Data.resident(data, batch_size)
    graphdef, state = initial_state(model, optimizer, key)
    step = Step(graphdef, objective, optimizer)

    rows, stopped, compile_seconds = (), None, 0.0
    try:
        start = time.perf_counter()
        progress = compile_epoch(step, state, resident)
        compile_seconds = time.perf_counter() - start
        with progress_bar(epochs, resident.batches, show=show_progress) as report:
            for epoch in range(1, epochs + 1):
                rate = rows[-1].samples_per_second if rows else 0.0
                progress, row = run_epoch(step, progress, resident, epoch, rate, report)
                state, rows = progress.state, (*rows, row)
                if on_epoch is not None:
                    on_epoch(row)
    except (KeyboardInterrupt, FloatingPointError) as reason:
        if not rows:
            raise
        stopped = str(reason) or f"interrupted in epoch {len(rows) + 1}"
        warnings.warn(f"{stopped}; epochs 1 to {len(rows)} are kept", stacklevel=2)
    return trained_model(model, state), History(rows, compile_seconds, stopped)


def _objective(loss: BaseLoss | None, objective: Mapping[str, Term] | None) -> Objective:
    if (loss is None) == (objective is None):
        raise TypeError("expected either loss= or objective=, e.g. fit(model, data, loss=bce)")
    if objective is not None:
        return Objective(objective)
    if not isinstance(loss, BaseLoss):
        raise TypeError(
            f"loss is {loss!r}, expected a Loss, e.g. jaxae.losses.mse or Loss(squared_error)"
        )
    return Objective({"reconstruction": reconstruction(loss)})


@functools.cache
def _default_optimizer() -> optax.GradientTransformation:
    return optax.adam(1e-3)
