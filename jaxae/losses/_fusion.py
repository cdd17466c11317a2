"""Fences: how far XLA shares and splits what it computes from the same arrays."""

import jax
import jax.numpy as jnp
from jaxtyping import Array


def fenced(x: Array) -> Array:
    """`x` rounded to the precision that it has: itself, but XLA does not look through it.

    On CPU, XLA adds some operations up as it goes and writes the arrays that all others leave to
    memory first, a dozen for a long formula. Before a fence all of it is one loop that writes one
    array. A slope of fenced arguments shares none of the value's arrays: to compute a number twice
    is faster than to write and read it.

    Example:
        >>> float(fenced(jnp.float32(0.1))) == float(jnp.float32(0.1))
        True
    """
    precision = jnp.finfo(x.dtype)
    return jax.lax.reduce_precision(x, precision.nexp, precision.nmant)
