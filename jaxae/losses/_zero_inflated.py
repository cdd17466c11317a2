"""The zero-inflated negative binomial distribution: counts of which some are 0 by dropout."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import softplus
from jaxae.losses._error import Event, closed_form, reads, takes
from jaxae.losses._fusion import apart, fenced, interleaved
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss
from jaxae.losses._negative_binomial import (
    derivatives,
    negative_binomial,
    negative_binomial_error,
)


def _link(prediction: Array) -> Array:
    """The mean, (1 − π)μ."""
    return jnp.exp(prediction[..., 0] - softplus(prediction[..., 2]))


def _slope(prediction: Array, target: Array) -> Array:
    """The derivatives by log μ, log θ and the logit of π, on a last axis."""
    inner, logit = prediction[..., :2], prediction[..., 2]
    by_inner, by_logit = _slopes(negative_binomial_error(inner, target), logit, target)
    by_mean, by_dispersion, _ = derivatives(inner, target)
    return interleaved([by_inner * by_mean, by_inner * by_dispersion, by_logit])


@closed_form(_slope)
@takes(Event(prediction=1, target=0, parameters=3, masking="slopes"))
@reads(_link)
def zero_inflated_negative_binomial_error(
    prediction: Float[Array, "... 3"], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Negative log-likelihood of a negative binomial with extra zeros, elementwise, in nats.

    e = −log [π·1(y = 0) + (1 − π) NB(y; μ, θ)], π = σ(z)

    It is computed from the logit z, exact for π near 0 and near 1: scvi-tools adds 1e-8 inside
    its logarithms, this adds nothing.

    Args:
        prediction: log μ, log θ and z on the last axis, shape (..., 3): the mean and the inverse
            dispersion as in `negative_binomial_error`, and the logit of the extra zeros' share.
        target: y ≥ 0, shape (...), a count.

    Returns:
        The errors, of the target's shape, in nats.

    Example:
        >>> prediction = jnp.array([[0.0, 0.0, 0.0], [0.0, 0.0, -100.0]])
        >>> zero_inflated_negative_binomial_error(prediction, jnp.array([0.0, 0.0])).round(4)
        Array([0.2877, 0.6931], dtype=float32)

    References:
        Lopez, Regier, Cole, Jordan & Yosef, Deep generative modeling for single-cell
        transcriptomics, Nature Methods 15, 2018, https://doi.org/10.1038/s41592-018-0229-2
        scvi-tools, scvi.distributions.ZeroInflatedNegativeBinomial, https://docs.scvi-tools.org
    """
    return _error(prediction, target)


@jax.custom_jvp
def _error(prediction: Array, y: Array) -> Array:
    e = negative_binomial_error(prediction[..., :2], y)
    return fenced(_inflated(e, prediction[..., 2], y))


@_error.defjvp
def _error_jvp(primals, tangents):
    (prediction, y), (dprediction, dy) = primals, tangents
    by_prediction = (_slope(apart(prediction), y) * dprediction).sum(-1)
    inner, by_target = jax.jvp(
        lambda y: negative_binomial_error(prediction[..., :2], y), (y,), (dy,)
    )
    by_inner, _ = _slopes(inner, prediction[..., 2], y)
    return _error(prediction, y), by_prediction + by_inner * by_target


def _inflated(e: Array, z: Array, y: Array) -> Array:
    """The error from that of the negative binomial, e, and the logit of the extra zeros."""
    present = softplus(z)  # −log (1 − π)
    # One minus the probability of a zero; its logarithm is taken of whichever is small.
    other = -jax.nn.sigmoid(-z) * jnp.expm1(-e)
    rare = present - jnp.maximum(z, -e) - jnp.log1p(jnp.exp(-abs(z + e)))
    zero = jnp.where(other < 0.5, -jnp.log1p(-jnp.minimum(other, 0.5)), rare)
    return jnp.where(y > 0, e + present, zero)


def _slopes(e: Array, z: Array, y: Array) -> tuple[Array, Array]:
    """The derivatives by e, the probability that y is not an extra zero, and by z."""
    by_e = jnp.where(y > 0, 1, jax.nn.sigmoid(-z - e))
    zero = jax.nn.sigmoid(z + e) * jax.nn.sigmoid(-z) * jnp.expm1(-e)
    return by_e, jnp.where(y > 0, jax.nn.sigmoid(z), zero)


def _draw(prediction: Array, *, key: PRNGKeyArray) -> Array:
    count_key, zero_key = jax.random.split(key)
    counts = negative_binomial.sample(prediction[..., :2], key=count_key)
    return jnp.where(jax.random.bernoulli(zero_key, jax.nn.sigmoid(prediction[..., 2])), 0, counts)


zero_inflated_negative_binomial = Likelihood(zero_inflated_negative_binomial_error, _link, 3, _draw)

zero_inflated_negative_binomial_nll = Loss(
    zero_inflated_negative_binomial_error, unit="sample"
).documented(
    "zero_inflated_negative_binomial_nll",
    """Negative log-likelihood of counts with extra zeros, in nats per sample: Σ e / N.

    The predictions are log μ, log θ and the logit of the extra zeros' share on a last axis of 3.
    It is the reconstruction term of scVI, which sums over genes and averages over cells.

    Example:
        >>> import jax.numpy as jnp
        >>> predictions = jnp.zeros((1, 2, 3))
        >>> targets = jnp.array([[0.0, 1.0]])
        >>> print(zero_inflated_negative_binomial_nll(predictions, targets).round(4))
        2.3671

    References:
        Lopez, Regier, Cole, Jordan & Yosef, Deep generative modeling for single-cell
        transcriptomics, Nature Methods 15, 2018, https://doi.org/10.1038/s41592-018-0229-2
    """,
)

__test__ = {zero_inflated_negative_binomial_nll.name: zero_inflated_negative_binomial_nll.__doc__}
