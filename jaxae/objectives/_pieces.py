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

from jaxae.losses import Rows, add_compensated
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
        ...     prediction, weights = scale * batch.input, batch.weight
        ...     return {"mse": mse.merged(prediction, batch.target, weights=weights)}
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
    cut = Cut.of(samples, microbatch_size, shards)
    pieces = cut.batch(filled(batch) if fill else batch)

    def finish_pieces(stacked: Statistics) -> Finished:
        return finish(cut.joined(stacked))

    first = jax.lax.map(lambda piece: statistics(params, piece), pieces)
    cotangents = jax.grad(finish_pieces)(first)

    def pull(sums: tuple[Any, Any], piece: tuple[Batch, Statistics]) -> tuple[Any, Statistics]:
        merged, back = jax.vjp(lambda p: statistics(p, piece[0]), params)
        (part,) = back(piece[1])
        return add_compensated(sums[0], part, sums[1], jax.tree.map(jnp.zeros_like, part)), merged

    nothing = jax.tree.map(jnp.zeros_like, params)
    (summed, _), stacked = jax.lax.scan(pull, (nothing, nothing), (pieces, cotangents))
    return summed, cut.joined(stacked)


def _whole(
    statistics: Callable, finish: Callable, params: Any, batch: Batch
) -> tuple[Any, Statistics]:
    def value(params: Any) -> tuple[Finished, Statistics]:
        merged = statistics(params, batch)
        return finish(merged), merged

    return jax.grad(value, has_aux=True)(params)


@dataclasses.dataclass(frozen=True)
class Cut:
    """How a batch is cut: into pieces of as many samples of each shard.

    They are not neighbours, so that a batch that is spread over devices stays where it is.

    Args:
        shards: how many equal parts the batch is spread in.
        samples: how many are in a shard.
        pieces: how many pieces there are.
    """

    shards: int
    samples: int
    pieces: int

    @classmethod
    def of(cls, samples: int, microbatch_size: int, shards: int) -> "Cut":
        """The cut of so many samples; into pieces without shards where these are not equal."""
        shards = 1 if samples % shards else shards
        size = max(1, microbatch_size // shards)
        return cls(shards, samples // shards, -(-samples // (shards * size)))

    @property
    def size(self) -> int:
        """How many samples of a shard are in a piece."""
        return -(-self.samples // self.pieces)

    def batch(self, batch: Batch) -> Batch:
        """Pieces along a new leading axis; what is missing repeats a sample, at weight 0."""
        repeated = jax.tree.map(lambda x: self._apart(x, mode="edge"), batch)
        return dataclasses.replace(repeated, weight=self._apart(batch.weight))

    def joined(self, stacked: Statistics) -> Statistics:
        """The batch's statistics, from its pieces' merged statistics, stacked."""
        return {
            name: jax.tree.map(self._together, x) if isinstance(x, Rows) else x.merge()
            for name, x in stacked.items()
        }

    def _apart(self, x: Array, **padding: Any) -> Array:
        own = x.reshape(self.shards, self.samples, *x.shape[1:])
        missing = self.size * self.pieces - self.samples
        own = jnp.pad(own, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 1), **padding)
        own = own.reshape(self.shards, self.size, self.pieces, *x.shape[1:])
        return jnp.moveaxis(own, 2, 0).reshape(self.pieces, -1, *x.shape[1:])

    def _together(self, x: Array) -> Array:
        """Pieces as they were before they were taken apart, without what was missing."""
        own = x.reshape(self.pieces, self.shards, self.size, *x.shape[2:])
        own = jnp.moveaxis(own, 0, 2).reshape(self.shards, -1, *x.shape[2:])
        return own[:, : self.samples].reshape(-1, *x.shape[2:])
