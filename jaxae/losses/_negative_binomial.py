"""The negative binomial distribution: the likelihood of counts that vary more than a Poisson's."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import bounded_exponent, exp_remainder, finite_exp
from jaxae.losses._error import Event, closed_form, reads, takes
from jaxae.losses._fusion import fenced, interleaved, unshared
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss
from jaxae.losses._poisson import draw_counts
from jaxae.losses._stirling import log_ratio, smallest_poisson_error, stirling_error, stirling_slope


class _Sum(NamedTuple):
    """exp x + exp t of two logarithms, in parts that neither overflow nor cancel."""

    high: Array
    low: Array
    rest: Array  # log(exp x + exp t) = high + rest
    zero: Array  # exp(t) (log(exp x + exp t) − t), the error of a count of 0 at the mean exp x

    @classmethod
    def of(cls, x: Array, exp_x: Array, t: Array, exp_t: Array) -> "_Sum":
        above = x > t
        ratio = jnp.exp(jnp.where(above, t - x, x - t))
        rest = jnp.log1p(ratio)
        large = ratio > jnp.finfo(x.dtype).eps ** 2
        scale = jnp.where(large, rest / jnp.where(large, ratio, 1), 1)
        zero = jnp.where(above, exp_t * (rest + (x - t)), exp_x * scale)
        return cls(jnp.where(above, x, t), jnp.where(above, t, x), rest, zero)


def _link(prediction: Array) -> Array:
    return jnp.exp(prediction[..., 0])


def _slope(prediction: Array, target: Array) -> Array:
    """The derivatives by m and t, on a last axis."""
    return interleaved(derivatives(prediction, target)[:2])


@closed_form(_slope)
@takes(Event(prediction=1, target=0, parameters=2, masking="slopes"))
@reads(_link)
def negative_binomial_error(
    prediction: Float[Array, "... 2"], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Negative log-likelihood of a negative binomial distribution, elementwise, in nats.

    e = −log [Γ(y + θ) / (Γ(θ) y!) · (θ/(θ + μ))^θ · (μ/(θ + μ))^y]

    Its mean is μ and its variance μ + μ²/θ, so θ is an inverse dispersion: a Poisson distribution
    at θ = ∞, which it tends to here without losing digits. It is computed as y log(y/μ) −
    (y + θ) log((y + θ)/(μ + θ)), which is 0 at μ = y, plus non-negative functions of y and θ.

    Args:
        prediction: log μ and log θ on the last axis, shape (..., 2).
        target: y ≥ 0, shape (...), a count; it need not be an integer.

    Returns:
        The errors, of the target's shape, in nats.

    Example:
        >>> prediction = jnp.log(jnp.array([[2.0, 1.0], [2.0, 1e8]]))
        >>> negative_binomial_error(prediction, jnp.array([2.0, 2.0])).round(4)
        Array([1.9095, 1.3069], dtype=float32)

    References:
        Lopez, Regier, Cole, Jordan & Yosef, Deep generative modeling for single-cell
        transcriptomics, Nature Methods 15, 2018, https://doi.org/10.1038/s41592-018-0229-2
        Hilbe, Negative binomial regression, 2nd edition, 2011, chapter 8
        Loader, Fast and accurate computation of binomial probabilities, 2000
    """
    return _error(prediction, target)


@unshared
def _error(prediction: Array, y: Array) -> Array:
    return fenced(_beyond_smallest(prediction, y) + smallest_poisson_error(y))


@jax.custom_jvp
def _beyond_smallest(prediction: Array, y: Array) -> Array:
    least = jnp.finfo(y.dtype).min  # a rate of 0 has −inf, which times 0 is NaN
    m, t = jnp.maximum(prediction[..., 0], least), prediction[..., 1]
    near, ratio, log_y = log_ratio(m, y)
    mean, theta = _Sum.of(m, jnp.exp(m), t, jnp.exp(t)), finite_exp(t)
    count = _Sum.of(log_y, y, t, jnp.exp(t))
    far = mean.zero - count.zero - y * ((mean.low - count.low) + (count.rest - mean.rest))
    deviance = jnp.where(near, _near_deviance(jnp.where(near, ratio, 0), y, theta), far)
    total = y + theta
    stirling = stirling_error(theta, t) - stirling_error(total, jnp.log(total))
    return deviance + jnp.where(y > 0, 0.5 * (count.high - t + count.rest) + stirling, 0)


def _near_deviance(ratio: Array, y: Array, theta: Array) -> Array:
    """(y + θ)(log(1 + p(exp u − 1)) − pu) with p = y/(y + θ), or 1 − p and −u if that is less."""
    ratio = jnp.where(y > theta, -ratio, ratio)
    less, total = jnp.minimum(y, theta), y + theta
    curved = exp_remainder(jnp.log1p(less / total * jnp.expm1(ratio)))
    return less * exp_remainder(ratio) - total * curved


def derivatives(prediction: Array, y: Array) -> tuple[Array, Array, Array]:
    """The derivatives by m and t, and that of `_beyond_smallest` by y."""
    m, t = prediction[..., 0], prediction[..., 1]
    near, ratio, log_y = log_ratio(m, y)
    rate, theta = finite_exp(m), finite_exp(t)
    mean, count = _Sum.of(m, rate, t, theta), _Sum.of(log_y, y, t, theta)
    total = jnp.maximum(y + theta, jnp.finfo(y.dtype).tiny)
    share = y / total
    excess = jnp.expm1(jnp.where(near, ratio, 0))
    # v = log((θ + μ)/(θ + y)), and the harmonic mean μθ/(θ + μ).
    v = jnp.where(
        near,
        jnp.log1p(share * excess),
        (mean.high - count.high) + (mean.rest - count.rest),
    )
    harmonic = jnp.where(m > t, theta * jax.nn.sigmoid(m - t), rate * jax.nn.sigmoid(t - m))
    expected = y * jax.nn.sigmoid(t - m)
    by_mean = jnp.where(near, expected * excess, harmonic - expected)
    small = abs(v) < 1
    curved = theta * exp_remainder(jnp.where(small, -v, 0))
    curved = jnp.where(small, curved, mean.zero - count.zero + expected - harmonic)
    slope = stirling_slope(total, jnp.log(total))
    drift = stirling_slope(theta, t) - (1 - share) * slope - 0.5 * share
    largest = jnp.finfo(y.dtype).max
    by_dispersion = jnp.clip(curved + jnp.where(y > 0, drift, 0), -largest, largest)
    far = (mean.low - count.low) + (count.rest - mean.rest)
    by_target = (0.5 - slope) / total - jnp.where(near, ratio - v, far)
    return by_mean, by_dispersion, by_target


@_beyond_smallest.defjvp
def _beyond_smallest_jvp(primals, tangents):
    (prediction, y), (dprediction, dy) = primals, tangents
    by_mean, by_dispersion, by_target = derivatives(prediction, y)
    change = by_mean * dprediction[..., 0] + by_dispersion * dprediction[..., 1] + by_target * dy
    return _beyond_smallest(prediction, y), change


def _draw(prediction: Array, *, key: PRNGKeyArray) -> Array:
    """A Poisson count whose rate is drawn from a gamma distribution."""
    m, t = prediction[..., 0], bounded_exponent(prediction[..., 1])
    gamma_key, poisson_key = jax.random.split(key)
    # From the logarithm, which does not underflow at small θ.
    log_gamma = jax.random.loggamma(gamma_key, jnp.exp(t))
    return draw_counts(jnp.exp(m + (log_gamma - t)), key=poisson_key)


negative_binomial = Likelihood(negative_binomial_error, _link, 2, _draw)

negative_binomial_nll = Loss(negative_binomial_error, unit="sample").documented(
    "negative_binomial_nll",
    """Negative log-likelihood of counts, negative binomial, in nats per sample: Σ e / N.

    The predictions are log μ and log θ on a last axis of 2: the mean, and the inverse dispersion.

    Example:
        >>> import jax.numpy as jnp
        >>> predictions = jnp.log(jnp.array([[[2.0, 1.0], [2.0, 1e8]]]))
        >>> print(negative_binomial_nll(predictions, jnp.array([[2.0, 2.0]])).round(4))
        3.2164

    References:
        Lopez, Regier, Cole, Jordan & Yosef, Deep generative modeling for single-cell
        transcriptomics, Nature Methods 15, 2018, https://doi.org/10.1038/s41592-018-0229-2
    """,
)

__test__ = {negative_binomial_nll.name: negative_binomial_nll.__doc__}
