"""What likelihoods of counts are computed from without losing digits.

Loader, Fast and accurate computation of binomial probabilities, 2000, writes the densities of
counts as a deviance, which is 0 at the mode, and the error of Stirling's formula, which is small:
no large logarithms of factorials are subtracted from one another.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxae.losses._elementary import polynomial

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
# Bₙ / n(n − 1) and −Bₙ / n for n = 2, 4, …: Stirling's series of log Γ, and of its derivative.
_STIRLING = tuple(b / (n * (n - 1)) for n, b in zip(range(2, 18, 2), _BERNOULLI, strict=True))
_STIRLING_SLOPE = tuple(-(2 * n + 1) * c for n, c in enumerate(_STIRLING))
# log 2 in two parts, of which the first has so few bits that its product with an exponent is exact.
_LOG2_HIGH, _LOG2_LOW = 0.693359375, -2.12194440054690583e-4


def log_ratio(log_rate: Array, y: Array) -> tuple[Array, Array, Array]:
    """How a rate compares with a count: whether within a factor of e, r − log y, and log y.

    The logarithms are finite at y = 0. The difference rounds like a logarithm below ½.
    """
    y = jnp.maximum(y, jnp.finfo(y.dtype).tiny)
    mantissa, exponent = _mantissa_and_exponent(jax.lax.stop_gradient(y))
    low = mantissa < math.sqrt(0.5)
    exponent = exponent - low.astype(y.dtype)
    log_high = exponent * _LOG2_HIGH
    log_low = exponent * _LOG2_LOW + _log(jnp.where(low, 2 * mantissa, mantissa), y)
    ratio = (log_rate - log_high) - log_low
    return (abs(ratio) < 1) & (y > jnp.finfo(y.dtype).tiny), ratio, log_high + log_low


def _mantissa_and_exponent(y: Array) -> tuple[Array, Array]:
    """Those of `frexp` for positive normal numbers, in y's dtype, by its bits alone.

    `jnp.frexp` under a vmap loses the sharding of explicit axes.
    """
    info = jnp.finfo(y.dtype)
    bits = jax.lax.bitcast_convert_type(y, f"int{info.bits}")
    zero = (info.maxexp - 2) << info.nmant  # the bits of ½, whose exponent is 0
    mantissa = (bits & ((1 << info.nmant) - 1)) | zero
    exponent = (bits - zero) >> info.nmant
    return jax.lax.bitcast_convert_type(mantissa, y.dtype), exponent.astype(y.dtype)


@jax.custom_jvp
def _log(mantissa: Array, y: Array) -> Array:
    """The logarithm of y's mantissa, which changes with y as that of y does."""
    del y
    return jnp.log(mantissa)


@_log.defjvp
def _log_jvp(primals, tangents):
    return _log(*primals), tangents[1] / primals[1]


def smallest_poisson_error(y: Array) -> Array:
    """The error of a count at the rate y, log Γ(y + 1) − y log y + y; 0 at y = 0."""
    positive = y > 0
    y = jnp.where(positive, y, 1)
    log_y = jnp.log(y)
    smallest = stirling_error(y, log_y) + 0.5 * (log_y + math.log(2 * math.pi))
    return jnp.where(positive, smallest, 0)


def stirling_error(x: Array, log_x: Array) -> Array:
    """The error of Stirling's formula, log Γ(x + 1) − (x + ½) log x + x − ½ log 2π, for x ≥ 0.

    It falls from ∞ at 0 like −½ log x, and to 0 at ∞ like 1/(12x). The logarithm is an argument of
    its own, since it may be finite where x underflows to 0.
    """
    small, low, z, shift = _shifted(x)
    product = functools.reduce(jnp.multiply, [z / (low + n) for n in range(1, shift)])
    log_ratio = jnp.log(z) - jnp.where(small, log_x, 0)
    recurrence = jnp.log(product) - shift + (low + 0.5) * log_ratio
    return _series(_STIRLING, z) + jnp.where(small, recurrence, 0)


def stirling_slope(x: Array, log_x: Array) -> Array:
    """Its derivative times x, x (digamma(x) − log x) + ½, which rises from −½ at 0 to 0 at ∞."""
    small, low, z, shift = _shifted(x)
    log_ratio = jnp.log(z) - jnp.where(small, log_x, 0)
    harmonic = sum(1 / (low + n) for n in range(1, shift))
    tail = _series(_STIRLING_SLOPE, z)
    recurrence = low * (log_ratio - harmonic + (tail - 0.5) / z) - 0.5
    return jnp.where(small, recurrence, tail)


def _shifted(x: Array) -> tuple[Array, Array, Array, int]:
    """Whether x is too small for Stirling's series; x there, else 1; and x moved to where not."""
    shift = 9 if x.dtype == jnp.float64 else 3
    small = x < shift
    low = jnp.where(small, x, 1)
    return small, low, jnp.where(small, low + shift, x), shift


def _series(coefficients: Sequence[float], z: Array) -> Array:
    terms = len(coefficients) if z.dtype == jnp.float64 else 5
    inverse = 1 / z
    return inverse * polynomial(coefficients[:terms], inverse * inverse)
