"""Probabilities kept away from where their logarithm is infinite."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def clipped(p: Array, low: float, margin: float) -> Array:
    """min(max(p, low), 1 − margin), whose derivative is 0 where something was clipped, else 1.

    Args:
        p: probabilities, of any shape.
        low: the smallest probability, above 0.
        margin: how far the largest one is from 1; 0 for 1 itself.

    Returns:
        The probabilities, of the same shape.

    Example:
        >>> clipped(jnp.array([0.0, 0.5, 1.0]), 0.25, 0.125).tolist()
        [0.25, 0.5, 0.875]
    """
    low, high = bounds(p, low, margin)
    # As two maxima, XLA on CPU adds up what it is part of as it goes; a clip, it writes first.
    return -jnp.maximum(-jnp.maximum(p, low), -high)


@clipped.defjvp
def _clipped_jvp(low, margin, primals, tangents):
    inside = clipped(*primals, low, margin)
    return inside, jnp.where(primals[0] == inside, tangents[0], 0)


def bounds(p: Array, low: float, margin: float) -> tuple[float, float]:
    """What probabilities are clipped to: `low` and 1 − margin, as far as their dtype knows both.

    Example:
        >>> bounds(jnp.zeros(3), 0.25, 0.125)
        (0.25, 0.875)
    """
    # What the dtype cannot tell from 0, or from 1, would leave log 0.
    finest = jnp.finfo(p.dtype)
    low = max(low, float(finest.tiny) ** 0.5)
    margin = margin and max(margin, float(finest.epsneg))
    return low, 1 - margin
