"""The gradient of a batch in pieces: that of the whole batch, in the memory of one piece.

Every piece's statistics are computed and finished together; then the cotangents of the statistics
are pulled back piece by piece. So a function of batch means, or of pairs of samples, has the whole
batch's gradient as well. Where the objective is linear in its statistics, the cotangents depend on
weights alone, and XLA drops the forward pass that comes first.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses import add_compensated
from jaxae.objectives._batch import Batch, filled
from jaxae.objectives._merge import Statistics

Finished = Float[Array, ""]


def gradient(
    statistics: Callable[[Any, Batch], Statistics],
    finish: Callable[[Statistics], Finished],
    params: Any,
    batch: Batch,
    *,
    microbatch_size: int | None = None,
    shards: int = 1,
    fill: bool = True,
) -> tuple[Any, Statistics]:
    """The gradient of an objective by its parameters, and the batch's merged statistics.

    Args:
        statistics: maps parameters and a batch, or a piece of it, to merged statistics.
        finish: maps the whole batch's statistics to a scalar.
        params: what the gradient is by.
        batch: the samples.
        microbatch_size: how many samples make a piece; None for the whole batch at once.
        shards: over how many devices the batch is spread in equal parts; each cuts its own.
        fill: whether samples of weight 0 may hold anything, as in `batch_statistics`.

    Returns:
        The gradient, of the parameters' structure, and the statistics.

    Example:
        >>> from jaxae.losses import mse
        >>> X = jnp.arange(6.0).reshape(3, 2)
        >>> batch = Batch(X, X, jnp.arange(3), jnp.ones(3))
        >>> def squares(scale, batch):
        ...     return {"mse": mse.merged(scale * batch.input, batch.target)}
        >>> def value(statistics):
        ...     return statistics["mse"].value
        >>> whole, _ = gradient(squares, value, 2.0, batch)
        >>> pieces, _ = gradient(squares, value, 2.0, batch, microbatch_size=2)
        >>> float(whole) == float(pieces)
        True
    """
    samples = len(batch.weight)
    if microbatch_size is None or microbatch_size >= samples:
        return _whole(statistics, finish, params, batch)
    pieces = _cut(filled(batch) if fill else batch, microbatch_size, shards)

    def finish_pieces(stacked: Statistics) -> Finished:
        return finish(joined(stacked))

    first = jax.lax.map(lambda piece: statistics(params, piece), pieces)
    cotangents = jax.grad(finish_pieces)(first)

    def pull(sums: tuple[Any, Any], piece: tuple[Batch, Statistics]) -> tuple[Any, Statistics]:
        merged, back = jax.vjp(lambda p: statistics(p, piece[0]), params)
        (part,) = back(piece[1])
        return add_compensated(sums[0], part, sums[1], jax.tree.map(jnp.zeros_like, part)), merged

    nothing = jax.tree.map(jnp.zeros_like, params)
    (summed, _), stacked = jax.lax.scan(pull, (nothing, nothing), (pieces, cotangents))
    return summed, joined(stacked)


def joined(stacked: Statistics) -> Statistics:
    """The batch's statistics, from its pieces' merged statistics, stacked."""
    return {name: statistic.join() for name, statistic in stacked.items()}


def _whole(
    statistics: Callable, finish: Callable, params: Any, batch: Batch
) -> tuple[Any, Statistics]:
    def value(params: Any) -> tuple[Finished, Statistics]:
        merged = statistics(params, batch)
        return finish(merged), merged

    return jax.grad(value, has_aux=True)(params)


def _cut(batch: Batch, microbatch_size: int, shards: int) -> Batch:
    """Pieces along a new leading axis, each of as many samples of each shard.

    What is missing repeats a sample, at weight 0. Pieces are not of neighbours, so that a batch
    that is spread over devices stays where it is.
    """
    shards = shards if len(batch.weight) % shards == 0 else 1
    samples = len(batch.weight) // shards
    pieces = -(-samples // max(1, microbatch_size // shards))
    size = -(-samples // pieces)

    def cut(x: Array, **padding: Any) -> Array:
        own = x.reshape(shards, samples, *x.shape[1:])
        missing = [(0, 0), (0, size * pieces - samples)] + [(0, 0)] * (x.ndim - 1)
        own = jnp.pad(own, missing, **padding).reshape(shards, size, pieces, *x.shape[1:])
        return jnp.moveaxis(own, 2, 0).reshape(pieces, shards * size, *x.shape[1:])

    repeated = jax.tree.map(lambda x: cut(x, mode="edge"), batch)
    return dataclasses.replace(repeated, weight=cut(batch.weight))
