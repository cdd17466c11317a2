"""The continuous Bernoulli distribution: the likelihood of numbers between 0 and 1."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import polynomial
from jaxae.losses._error import closed_form, reads
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss

# Below it sinh is a power series, above it a quotient of exponentials: either keeps its digits.
_SMALL = 4


def _mean(logits: Array) -> Array:
    """The mean, 1/(1 − exp(−z)) − 1/z, ½ at 0; not σ(z), which it differs from except at 0."""
    small, series, slope_series, a = _parts(logits)
    tail = _tail(a)
    far = jnp.where(logits > 0, 1 - tail, tail)
    return jnp.where(small, 0.5 + logits * slope_series / (1 + series), far)


def _slope(logits: Array, target: Array) -> Array:
    """The derivative by the logit, mean − y."""
    small, series, slope_series, a = _parts(logits)
    near = (0.5 - target) + logits * slope_series / (1 + series)
    tail = _tail(a)
    return jnp.where(small, near, jnp.where(logits > 0, (1 - target) - tail, tail - target))


@closed_form(_slope)
@reads(_mean)
def continuous_bernoulli_error(
    logits: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Negative log-density of a continuous Bernoulli from its logit, elementwise, in nats.

    e = log((exp z − 1)/z) − zy = z(½ − y) + log(sinh(z/2) / (z/2))

    The density of a number between 0 and 1 whose log is linear in it: binary cross-entropy with the
    constant that makes it a density, C = 2 artanh(1 − 2λ)/(1 − 2λ) at λ = σ(z). It is negative
    where the density exceeds 1. Its derivative is the mean minus y, and the mean is
    1/(1 − exp(−z)) − 1/z, not σ(z). Both keep their digits around λ = ½, where torch's
    `ContinuousBernoulli` has limits to choose. Where z(½ − y) is negative it cancels against the
    logarithm, which is not: there the value is right to the rounding of the larger of both.

    Args:
        logits: z, of any shape.
        target: y in [0, 1], of the same shape.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> continuous_bernoulli_error(jnp.array([0.0, 4.0, 4.0]), jnp.array([0.3, 0.0, 1.0]))
        Array([ 0.       ,  2.5952...,  -1.4047...], dtype=float32)

    References:
        Loaiza-Ganem & Cunningham, The continuous Bernoulli: fixing a pervasive error in variational
        autoencoders, NeurIPS 2019, equations 3 to 8, https://arxiv.org/abs/1907.06845
    """
    return _from_logits(logits, target)


@jax.custom_jvp
def _from_logits(z: Array, y: Array) -> Array:
    small, series, _, a = _parts(z)
    far = a * jnp.where(z > 0, 1 - y, y) - jnp.log(a / -jnp.expm1(-a))
    return jnp.where(small, z * (0.5 - y) + jnp.log1p(series), far)


@_from_logits.defjvp
def _from_logits_jvp(primals, tangents):
    (z, y), (dz, dy) = primals, tangents
    return _from_logits(z, y), _slope(z, y) * dz - z * dy


def _parts(z: Array) -> tuple[Array, Array, Array, Array]:
    """Whether |z| is small; sinh(z/2)/(z/2) − 1 and its derivative over z there; |z| elsewhere."""
    small = abs(z) < _SMALL
    terms = 14 if z.dtype == jnp.float64 else 8
    series = [1 / (4**n * math.factorial(2 * n + 1)) for n in range(1, terms + 1)]
    square = jnp.where(small, z * z, 0)
    slope = [2 * n * c for n, c in enumerate(series, 1)]
    a = jnp.where(small, _SMALL, abs(z))
    return small, square * polynomial(series, square), polynomial(slope, square), a


def _tail(a: Array) -> Array:
    """The mean at the logit −a, 1/a − 1/(exp a − 1), for a not small."""
    power = jnp.exp(-a)
    return 1 / a - power / (1 - power)


def _draw(logits: Array, *, key: PRNGKeyArray) -> Array:
    """By the inverse of the distribution function, of −|z|, whose exponential is at most 1."""
    uniform = jax.random.uniform(key, logits.shape, logits.dtype)
    # Where it is less than this the distribution is uniform, to rounding.
    a = jnp.maximum(abs(logits), jnp.finfo(logits.dtype).eps)
    low = jnp.minimum(-jnp.log1p(uniform * jnp.expm1(-a)) / a, 1)
    return jnp.where(logits > 0, 1 - low, low)


continuous_bernoulli = Likelihood(continuous_bernoulli_error, _mean, sampler=_draw)

continuous_bernoulli_nll = Loss(continuous_bernoulli_error, unit="sample").documented(
    "continuous_bernoulli_nll",
    """Negative log-density of numbers in [0, 1], continuous Bernoulli, nats per sample: Σ e / N.

    The predictions are logits. It is what to minimise, and to compare, on grey pixels where `bce`
    is not a likelihood. Its gradient is (mean(Z) − Y)/N.

    Example:
        >>> import jax.numpy as jnp
        >>> print(continuous_bernoulli_nll(jnp.array([[0.0, 4.0]]), jnp.array([[0.3, 1.0]])))
        -1.4047...

    References:
        Loaiza-Ganem & Cunningham, The continuous Bernoulli: fixing a pervasive error in variational
        autoencoders, NeurIPS 2019, https://arxiv.org/abs/1907.06845
    """,
)

__test__ = {continuous_bernoulli_nll.name: continuous_bernoulli_nll.__doc__}
