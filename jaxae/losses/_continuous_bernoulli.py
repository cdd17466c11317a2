"""The continuous Bernoulli distribution: the likelihood of numbers between 0 and 1."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import polynomial
from jaxae.losses._error import Event, closed_form, reads, takes
from jaxae.losses._float64 import in_float64
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss

# Below 1, the logarithm of sinh(z/2)/(z/2) is Σ B₂ₙ z²ⁿ/(2n (2n)!), whose terms shrink like 40⁻ⁿ.
_BERNOULLI = (
    *(1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6),
    *(-3617 / 510, 43867 / 798, -174611 / 330, 854513 / 138),
)
_SERIES = [b / (2 * n * math.factorial(2 * n)) for n, b in enumerate(_BERNOULLI, 1)]
_LOG_AT_1 = -math.log1p(-math.exp(-1))


def _mean(logits: Array) -> Array:
    """The mean, 1/(1 − exp(−z)) − 1/z, ½ at 0; not σ(z), which it differs from except at 0."""
    small, near, tail = _parts(logits)
    return jnp.where(small, 0.5 + near, jnp.where(logits > 0, 1 - tail, tail))


def _slope(logits: Array, target: Array) -> Array:
    """The derivative by the logit, mean − y."""
    small, near, tail = _parts(logits)
    far = jnp.where(logits > 0, (1 - target) - tail, tail - target)
    return jnp.where(small, (0.5 - target) + near, far)


@takes(Event(masking="inputs"))
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
    `ContinuousBernoulli` has limits to choose. The value's terms cancel where it changes its sign;
    they are added in float64, so that it is rounded once. The derivative is right to 8 ULP of the
    larger of its two terms, mean·(1 − y) and (1 − mean)·y, which cancel where the mean is near y.

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
    return _value(z, y)


@_from_logits.defjvp
def _from_logits_jvp(primals, tangents):
    (z, y), (dz, dy) = primals, tangents
    return _from_logits(z, y), _slope(z, y) * dz - z * dy


@in_float64
def _value(z: Array, y: Array) -> Array:
    """The error up to the logit ±1, by the series, and what it grows by from there.

    Without a choice or a clip to constants, which XLA on CPU does not vectorise.
    """
    a = jnp.maximum(abs(z), 1)
    edge, beyond = z / a, a - 1
    square = edge * edge
    within = edge * (0.5 - y) + square * polynomial(_SERIES, square)
    growth = jnp.log(a / -jnp.expm1(-a)) - _LOG_AT_1
    return within + ((z - edge) * (0.5 - y) + 0.5 * beyond) - jnp.minimum(abs(growth), beyond)


def _parts(z: Array) -> tuple[Array, Array, Array]:
    """Whether |z| is small; the mean less ½ there; the mean at the logit −|z| elsewhere."""
    small = abs(z) < 1
    inside, a = jnp.where(small, z, 0), jnp.where(small, 1, abs(z))
    near = inside * polynomial([2 * n * c for n, c in enumerate(_SERIES, 1)], inside * inside)
    power = jnp.exp(-a)
    return small, near, 1 / a - power / (1 - power)


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
