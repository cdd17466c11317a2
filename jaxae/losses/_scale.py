"""The scale of numbers: a power of 2 to divide by, so that no square overflows or vanishes."""

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


@jax.custom_jvp
def magnitude(real: Array, imaginary: Array) -> Array:
    """√(real² + imaginary²) without overflow; its derivative at 0 is 0.

    Example:
        >>> magnitude(jnp.array([3.0, 0.0, 2e30]), jnp.array([4.0, 0.0, 0.0]))
        Array([5.e+00, 0.e+00, 2.e+30], dtype=float32)
    """
    scale = power_of_two(jnp.maximum(abs(real), abs(imaginary)))
    return scale * jnp.sqrt((real / scale) ** 2 + (imaginary / scale) ** 2)


@magnitude.defjvp
def _magnitude_jvp(primals, tangents):
    (real, imaginary), (dreal, dimaginary) = primals, tangents
    size = magnitude(real, imaginary)
    divisor = jnp.where(size < jnp.finfo(size.dtype).tiny, 1, size)
    return size, (real / divisor) * dreal + (imaginary / divisor) * dimaginary
