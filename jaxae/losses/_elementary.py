"""Elementary functions that neither overflow where a slope is taken nor cancel near 0."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array


@jax.custom_jvp
def absolute(x: Array) -> Array:
    """|x|, whose derivative is sign(x): 0 at 0, where that of `abs` is 1 in JAX."""
    return abs(x)


@absolute.defjvp
def _absolute_jvp(primals, tangents):
    (x,), (tangent,) = primals, tangents
    return absolute(x), jnp.sign(x) * tangent


def saturated(x: Array) -> Array:
    """`x` with its infinities replaced by the largest finite number of its dtype.

    A slope that is infinite would turn a cotangent of 0, such as a mask's, into NaN.
    """
    largest = jnp.finfo(x.dtype).max
    return jnp.clip(x, -largest, largest)


def finite_exp(x: Array) -> Array:
    """The exponential of x, or about the largest finite number where it overflows."""
    return jnp.exp(_bounded(x))


def finite_expm1(x: Array) -> Array:
    """exp(x) − 1, or about the largest finite number where it overflows."""
    return jnp.expm1(_bounded(x))


def polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Σ coefficients[n]·xⁿ."""
    return functools.reduce(lambda total, c: total * x + c, coefficients[::-1], jnp.zeros_like(x))


def exp_remainder(x: Array) -> Array:
    """exp(x) − 1 − x for |x| ≤ 1, with all its digits."""
    terms = 18 if x.dtype == jnp.float64 else 10
    return x * x * polynomial([1 / math.factorial(n + 2) for n in range(terms)], x)


@jax.custom_jvp
def exponential_excess(x: Array) -> Array:
    """How far the exponential lies above its tangent at 0: exp(x) − 1 − x ≥ 0, for any x.

    Its derivative is exp(x) − 1, the largest finite number where that overflows.

    Example:
        >>> exponential_excess(jnp.array([0.0, 1e-10, 1.0])).tolist()
        [0.0, 5.000000245224396e-21, 0.718...]
    """
    return jnp.where(abs(x) < 1, exp_remainder(jnp.clip(x, -1, 1)), jnp.expm1(x) - x)


@exponential_excess.defjvp
def _exponential_excess_jvp(primals, tangents):
    return exponential_excess(*primals), finite_expm1(primals[0]) * tangents[0]


def _bounded(exponent: Array) -> Array:
    """The exponent, or the largest one whose exponential is finite."""
    precision = jnp.finfo(exponent.dtype)
    return jnp.minimum(exponent, math.log(float(precision.max)) * (1 - float(precision.eps)))
