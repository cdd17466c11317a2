"""The scale of numbers: a power of 2 to divide by, which rounds nothing."""

import jax
import jax.numpy as jnp
from jaxtyping import Array


def power_of_two(size: Array) -> Array:
    """A power of 2 near each size, a constant to the derivative; 1 where the size is subnormal.

    Numbers of that size can be squared once divided by it, and dividing by it is exact.

    Example:
        >>> power_of_two(jnp.array([0.0, 1.0, 5.0])).tolist()
        [1.0, 1.0, 4.0]
    """
    size, limits = jax.lax.stop_gradient(size), jnp.finfo(size.dtype)
    rounded = jax.lax.reduce_precision(size, limits.nexp, 0)
    # Beyond the limit the reciprocal, by which a compiler multiplies, would be subnormal.
    return jnp.where(size < limits.tiny, 1, jnp.minimum(rounded, 2.0 ** (limits.maxexp - 2)))
