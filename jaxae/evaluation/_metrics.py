"""Losses as metrics: over all samples, from statistics that add, so the same for any batch size."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from jaxae.losses import BaseLoss, bce, bernoulli, mae, mse, sse, sse_per_sample
from jaxae.models import Autoencoder
from jaxae.objectives import Batch, Objective, Statistics, batch_statistics, reconstruction


def evaluate(
    model: Autoencoder,
    X: ArrayLike,
    losses: Mapping[str, BaseLoss] | None = None,
    *,
    batch_size: int = 1000,
) -> dict[str, float]:
    """Each loss between N samples and their reconstructions.

    A loss and the metric of the same name are the same thing: `mse` here is `losses.mse` of all
    samples and all reconstructions at once, whatever the batch size.

    Args:
        model: an autoencoder.
        X: samples, shape (N, *feature_shape), N ≥ 1.
        losses: by the names that the result will have; by default `mse`, `mae`, `sse` and
            `sse_per_sample`, and `bce` where the model predicts logits.
        batch_size: how many samples are on the device at once; it changes no more than the last
            digits.

    Returns:
        A number for each loss, divided by what that loss divides by.

    Raises:
        ValueError: no samples, or a batch size below 1.

    Example:
        >>> from jaxae.data import load
        >>> from jaxae.models import MLPAutoencoder
        >>> digits = load("digits")
        >>> metrics = evaluate(MLPAutoencoder(digits.feature_shape), digits.test)
        >>> sorted(metrics)
        ['bce', 'mae', 'mse', 'sse', 'sse_per_sample']
    """
    if len(X := np.asarray(X)) == 0:
        raise ValueError("no samples to evaluate, expected X of shape (N, ...) with N ≥ 1")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    losses = _default_losses(model) if losses is None else losses
    objective = Objective({name: reconstruction(loss) for name, loss in losses.items()})
    graphdef, arrays = nnx.split(model)
    pieces = (
        _statistics(objective, graphdef, nnx.as_pure(arrays), batch)
        for batch in _batches(X, min(batch_size, len(X)))
    )
    merged = functools.reduce(_add, pieces)
    return {name: float(losses[name].finish(merged[name].value)) for name in losses}


def _default_losses(model: Autoencoder) -> dict[str, BaseLoss]:
    losses: dict[str, BaseLoss] = {
        "mse": mse,
        "mae": mae,
        "sse": sse,
        "sse_per_sample": sse_per_sample,
    }
    return losses | ({"bce": bce} if model.likelihood == bernoulli else {})


def _batches(X: np.ndarray, size: int):
    for start in range(0, len(X), size):
        index = jnp.arange(start, start + size)
        rows = jnp.asarray(X[start : start + size])
        rows = jnp.pad(rows, [(0, size - len(rows))] + [(0, 0)] * (rows.ndim - 1))
        yield Batch(rows, rows, index, (index < len(X)).astype(rows.dtype))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _statistics(objective: Objective, graphdef: Any, arrays: Any, batch: Batch) -> Statistics:
    model = nnx.merge(graphdef, arrays)
    model.eval()
    return batch_statistics(objective, model, batch, jax.random.key(0))


def _add(first: Statistics, second: Statistics) -> Statistics:
    return {name: first[name] + second[name] for name in first}
