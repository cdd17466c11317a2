"""Cosine distance: how far two directions are apart, whatever their lengths."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._error import Event, takes
from jaxae.losses._loss import Loss
from jaxae.losses._scale import power_of_two


@takes(Event(None, None, zero_is_absent=True))
def cosine_distance(
    prediction: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, ""]:
    """Cosine distance between two whole samples, read as vectors.

    e = 1 − cos(p, y) = ½ ‖p/‖p‖ − y/‖y‖‖²

    The second form loses no digits where p and y are nearly parallel, and is exactly 0 where they
    are equal. Lengths are taken after a division by a power of 2, so that none overflows. Where p
    or y is 0 there is no angle: e is 1, with zero gradient. A vector of subnormal numbers only
    (below 1.2e-38 in float32) counts as 0. The derivative is −(y/‖y‖ − cos(p, y) p/‖p‖)/‖p‖.

    Args:
        prediction: p, one sample, of any shape.
        target: y, of the same shape.

    Returns:
        The error, a scalar without unit, in [0, 2].

    Example:
        >>> y = jnp.array([1.0, 0.0])
        >>> [float(cosine_distance(jnp.array(p), y)) for p in ([8.0, 0.0], [0.0, 1.0], [-1.0, 0.0])]
        [0.0, 1.0, 2.0]
        >>> jax.value_and_grad(cosine_distance)(jnp.zeros(2), y)
        (Array(1., dtype=float32), Array([0., 0.], dtype=float32))

    References:
        optax.losses.cosine_distance, which is 1 − cosine_similarity,
        https://optax.readthedocs.io/en/latest/api/losses.html#optax.losses.cosine_distance
    """
    return _distances(prediction.ravel(), target.ravel())


@takes(Event(1, 1, zero_is_absent=True))
def cosine_distance_of_vectors(
    prediction: Float[Array, "... C"], target: Float[Array, "... C"]
) -> Float[Array, "..."]:
    """Cosine distance between the vectors along the last axis: `cosine_distance` of each.

    Args:
        prediction: vectors, of any shape with the features' axis last.
        target: of the same shape.

    Returns:
        The errors, without the last axis, without unit, in [0, 2].

    Example:
        >>> p, y = jnp.array([[2.0, 0.0], [0.0, 0.0]]), jnp.array([[1.0, 0.0], [1.0, 0.0]])
        >>> cosine_distance_of_vectors(p, y).tolist()
        [0.0, 1.0]

    References:
        optax.losses.cosine_distance, which is 1 − cosine_similarity,
        https://optax.readthedocs.io/en/latest/api/losses.html#optax.losses.cosine_distance
    """
    return _distances(prediction, target)


def between_directions(prediction: Array, target: Array) -> Array:
    """p/‖p‖ − y/‖y‖ along the last axis, where 0/0 counts as 0; exactly 0 where both are equal."""
    p, y = _Direction.of(prediction), _Direction.of(target)
    # 1/‖p‖ − 1/‖y‖ from ‖y‖² − ‖p‖²: every part is a multiple of the difference.
    squares = jnp.sum((y.vector - p.vector) * (y.vector + p.vector), axis=-1, keepdims=True)
    inverses = squares * (p.inverse * y.inverse) / (p.length + y.length)
    inverses = jnp.where(p.absent | y.absent, p.inverse - y.inverse, inverses)
    return p.inverse * (p.vector - y.vector) + inverses * y.vector


def _distances(prediction: Array, target: Array) -> Array:
    absent = _Direction.of(prediction).absent | _Direction.of(target).absent
    apart = between_directions(prediction, target)
    return jnp.where(absent[..., 0], 1, 0.5 * jnp.sum(apart * apart, axis=-1))


class _Direction(NamedTuple):
    """Vectors along the last axis over a power of 2, their lengths, and 1/length, 0 if absent."""

    vector: Array
    length: Array
    inverse: Array
    absent: Array

    @classmethod
    def of(cls, vectors: Array) -> "_Direction":
        # A direction does not depend on its scale: the derivative needs none of the maximum.
        largest = jnp.max(abs(jax.lax.stop_gradient(vectors)), axis=-1, keepdims=True, initial=0)
        absent = largest < jnp.finfo(vectors.dtype).tiny
        vector = vectors / power_of_two(largest)
        squares = jnp.sum(vector * vector, axis=-1, keepdims=True)
        length = jnp.sqrt(jnp.where(absent, 1, squares))
        return cls(vector, length, jnp.where(absent, 0, 1 / length), absent)


cosine = Loss(cosine_distance).documented(
    "cosine",
    """Cosine distance of each sample, averaged over samples: Σ (1 − cos(p, y)) / N, in [0, 2].

    Without unit. Each sample is one vector, whatever its shape. A sample of zeros is at distance 1
    from everything, with zero gradient.

    Example:
        >>> import jax.numpy as jnp
        >>> float(cosine(jnp.array([[3.0, 0.0], [0.0, 5.0]]), jnp.array([[1.0, 0.0], [1.0, 0.0]])))
        0.5

    References:
        optax.losses.cosine_distance, which is 1 − cosine_similarity,
        https://optax.readthedocs.io/en/latest/api/losses.html#optax.losses.cosine_distance
    """,
)

__test__ = {cosine.name: cosine.__doc__}
