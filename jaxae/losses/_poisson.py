"""The Poisson distribution: the likelihood of counts whose variance is their mean."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import exp_remainder, finite_exp
from jaxae.losses._error import closed_form, reads
from jaxae.losses._fusion import fenced, unshared
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss
from jaxae.losses._stirling import log_ratio, smallest_poisson_error

_LARGE = 2.0**14


def _slope(log_rate: Array, target: Array) -> Array:
    """The derivative by the log rate, rate − target, with its digits where both are close."""
    near, ratio, _ = log_ratio(log_rate, target)
    ratio = jnp.where(near, ratio, 0)
    close = target * (ratio + exp_remainder(ratio))
    return jnp.where(near, close, finite_exp(log_rate) - target)


@closed_form(_slope)
@reads(jnp.exp)
def poisson_error(
    log_rate: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Negative log-likelihood of a Poisson distribution from its log rate, elementwise, in nats.

    e = exp(r) − yr + log Γ(y + 1) = y(exp u − 1 − u) + (log Γ(y + 1) − y log y + y), u = r − log y

    The second form is a sum of non-negative parts, so no digits cancel near the mode. The constant
    log y! is included, so that the values are those of a density: torch's `PoissonNLLLoss` omits
    it (or takes Stirling's approximation, 0 up to y = 1) and so does Keras' `Poisson`, whose first
    argument is the rate. The derivative by the log rate is exp(r) − y.

    Args:
        log_rate: r, of any shape; the rate, which is the mean, is exp(r).
        target: y ≥ 0, of the same shape, a count; it need not be an integer.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> poisson_error(jnp.log(jnp.array([2.0, 2.0])), jnp.array([0.0, 2.0])).round(4)
        Array([2.    , 1.3069], dtype=float32)

    References:
        Loader, Fast and accurate computation of binomial probabilities, 2000: the second form
        torch.nn.PoissonNLLLoss,
        https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
        keras.losses.Poisson, https://keras.io/api/losses/probabilistic_losses/#poisson-class
    """
    return _error(log_rate, target)


@unshared
def _error(r: Array, y: Array) -> Array:
    return fenced(half_deviance(r, y) + smallest_poisson_error(y))


@jax.custom_jvp
def half_deviance(r: Array, y: Array) -> Array:
    """How far the error of a count is above its smallest, at exp(r) = y; never negative."""
    r = jnp.maximum(r, jnp.finfo(r.dtype).min)  # a rate of 0 has −inf, which times 0 is NaN
    near, ratio, _ = log_ratio(r, y)
    close = y * exp_remainder(jnp.where(near, ratio, 0))
    # Bounded, so that it is not infinite where exp(r) is; beyond 100 the exponential is all.
    linear = jnp.minimum(y * (1 + jnp.minimum(ratio, 100)), jnp.finfo(r.dtype).max)
    return jnp.where(near, close, jnp.exp(r) - linear)


@half_deviance.defjvp
def _deviance_jvp(primals, tangents):
    (r, y), (dr, dy) = primals, tangents
    _, ratio, _ = log_ratio(r, y)
    return half_deviance(r, y), _slope(r, y) * dr - ratio * dy


def draw_counts(rate: Array, *, key: PRNGKeyArray) -> Array:
    """Counts drawn at their rates, in the rates' dtype; at an infinite rate, an infinite count."""
    # JAX draws integers, which overflow, by a test that float32 rounds: at a rate of 10⁸ its counts
    # have 1.5 times their variance. The normal distribution, with a Poisson's skewness, does not.
    small_key, large_key = jax.random.split(key)
    small = jax.random.poisson(small_key, jnp.minimum(rate, _LARGE)).astype(rate.dtype)
    z = jax.random.normal(large_key, rate.shape, rate.dtype)
    deviation = jnp.sqrt(jnp.minimum(rate, jnp.finfo(rate.dtype).max)) * z + (z * z - 1) / 6
    return jnp.where(rate < _LARGE, small, jnp.round(rate + deviation))


def _draw(log_rate: Array, *, key: PRNGKeyArray) -> Array:
    return draw_counts(jnp.exp(log_rate), key=key)


poisson = Likelihood(poisson_error, jnp.exp, sampler=_draw)

poisson_nll = Loss(poisson_error, unit="sample").documented(
    "poisson_nll",
    """Negative log-likelihood of counts under a Poisson distribution, nats per sample: Σ e / N.

    The predictions are log rates. The constant log y! is included. Its gradient is (exp(R) − Y)/N.

    Example:
        >>> import jax.numpy as jnp
        >>> print(poisson_nll(jnp.log(jnp.array([[2.0, 2.0]])), jnp.array([[0.0, 2.0]])).round(4))
        3.3069

    References:
        torch.nn.PoissonNLLLoss,
        https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
    """,
)

__test__ = {poisson_nll.name: poisson_nll.__doc__}
