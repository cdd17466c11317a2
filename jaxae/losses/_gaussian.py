"""Normal distributions, of a fixed scale and of a scale that the model predicts."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import saturated
from jaxae.losses._error import Event, closed_form, reads, takes
from jaxae.losses._fusion import fenced, unshared
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._location_scale import LocationScaleError
from jaxae.losses._loss import Loss

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclasses.dataclass(frozen=True)
class GaussianError(LocationScaleError):
    """Negative log-density of a normal distribution of fixed scale, elementwise, in nats.

    e = ½((y − μ)/σ)² + log σ + ½ log 2π

    The prediction is the mean μ. The derivative is (μ − y)/σ². `Likelihood(GaussianError(0.1))` is
    the likelihood of another scale. Below σ = 0.4 the term log σ + ½ log 2π is negative and cancels
    against the square: there the two are added in float64, so that the value is rounded once.

    Args:
        scale: σ > 0, the standard deviation, in the target's unit.

    Raises:
        ValueError: a scale that is not positive.

    Example:
        >>> error = GaussianError()
        >>> round(float(error(jnp.array(0.0), jnp.array(1.0))), 4)
        1.4189

    References:
        Bishop, Pattern recognition and machine learning, Springer, 2006, equation 1.46,
        https://www.microsoft.com/en-us/research/people/cmbishop/prml-book/
    """

    scale: float = 1.0

    def _energy(self, z: Array) -> Array:
        return 0.5 * (z * z)

    def _slope(self, z: Array) -> Array:
        return z

    def _log_normaliser(self) -> float:
        return math.log(self.scale) + HALF_LOG_2PI

    def _standard(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
        return jax.random.normal(key, shape, dtype)


def _mean(prediction: Array) -> Array:
    return prediction[..., 0]


def _slopes(
    prediction: Float[Array, "*shape 2"], target: Float[Array, "*shape"]
) -> Float[Array, "*shape 2"]:
    """(−(y − μ)e^(−s), ½ − ½(y − μ)²e^(−s)), the largest finite number where float32 overflows."""
    z, first, second = _standardised(prediction, target)
    by_mean = -z * first * second
    return saturated(jnp.stack([by_mean, 0.5 - 0.5 * (z * z)], axis=-1))


@takes(Event(prediction=1, target=0, parameters=2))
@closed_form(_slopes)
@reads(_mean)
def heteroscedastic_gaussian_error(
    prediction: Float[Array, "*shape 2"], target: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Negative log-density of a normal distribution of predicted scale, one for each number.

    e = ½(y − μ)²e^(−s) + ½s + ½ log 2π,   μ, s = prediction[..., 0], prediction[..., 1]

    For a given mean it is least at e^s = (y − μ)². It has no lower bound: where a mean can meet its
    target, s runs to −∞. The gradient is (−(y − μ)e^(−s), ½ − ½(y − μ)²e^(−s)). Value and gradient
    are right to 8 ULP of the largest of their terms, which cancel where they differ in sign.

    Args:
        prediction: mean μ and log-variance s = log σ², along the last axis.
        target: y, of the prediction's shape without its last axis.

    Returns:
        The errors, of the target's shape, in nats.

    Example:
        >>> prediction = jnp.array([[0.0, 0.0], [0.0, 2.0]])
        >>> heteroscedastic_gaussian_error(prediction, jnp.ones(2)).round(4).tolist()
        [1.4189..., 1.9865...]

    References:
        Nix & Weigend, Estimating the mean and variance of the target probability distribution,
        IEEE International Conference on Neural Networks, 1994,
        https://doi.org/10.1109/ICNN.1994.374138
        Kendall & Gal, What uncertainties do we need in Bayesian deep learning for computer vision?,
        NeurIPS 2017, equation 8, https://arxiv.org/abs/1703.04977
    """
    return unshared(_predicted_scale)(prediction, target)


@jax.custom_jvp
def _predicted_scale(prediction: Array, target: Array) -> Array:
    z, _, _ = _standardised(prediction, target)
    return fenced(0.5 * (z * z) + (0.5 * prediction[..., 1] + HALF_LOG_2PI))


@_predicted_scale.defjvp
def _predicted_scale_jvp(primals, tangents):
    slopes = _slopes(*primals)
    dprediction, dtarget = tangents
    by_prediction = (slopes * dprediction).sum(-1)
    return _predicted_scale(*primals), by_prediction - slopes[..., 0] * dtarget


def _standardised(prediction: Array, target: Array) -> tuple[Array, Array, Array]:
    """(y − μ)e^(−s/2), and two factors of e^(−s/2): the first alone would overflow or vanish.

    Neither is ever 0 or ∞, and what they leave out is beyond what a product with them can hold.
    """
    mean, log_variance = prediction[..., 0], prediction[..., 1]
    limit = 0.98 * math.log(float(jnp.finfo(prediction.dtype).max))
    exponent = -0.5 * log_variance
    within = jnp.clip(exponent, -limit, limit)
    first, second = jnp.exp(within), jnp.exp(jnp.clip(exponent - within, -limit, limit))
    return (target - mean) * first * second, first, second


def _draw(prediction: Array, *, key: PRNGKeyArray) -> Array:
    standard = jax.random.normal(key, prediction.shape[:-1], prediction.dtype)
    return prediction[..., 0] + jnp.exp(0.5 * prediction[..., 1]) * standard


gaussian = Likelihood(GaussianError())
learned_gaussian = Likelihood(
    heteroscedastic_gaussian_error, _mean, parameters_per_element=2, sampler=_draw
)

gaussian_nll = Loss(GaussianError(), unit="sample").documented(
    "gaussian_nll",
    """Negative log-likelihood of a normal distribution of scale 1, in nats per sample: Σ e / N.

    ½ `sse_per_sample` plus ½ log 2π for each of a sample's C numbers. Its gradient is (A − Y)/N.
    `Loss(GaussianError(0.1), unit="sample")` has another scale.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(gaussian_nll(jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2)))), 4)
        4.3379

    References:
        Bishop, Pattern recognition and machine learning, Springer, 2006, equation 1.62,
        https://www.microsoft.com/en-us/research/people/cmbishop/prml-book/
    """,
)

learned_gaussian_nll = Loss(heteroscedastic_gaussian_error, unit="sample").documented(
    "learned_gaussian_nll",
    """Negative log-likelihood of a normal distribution of predicted scale, in nats per sample.

    The predictions have one more axis than the targets, the last, for mean and log-variance; the
    value is Σ e / N.

    Example:
        >>> import jax.numpy as jnp
        >>> A = jnp.array([[[1.0, 0.0], [2.0, 2.0]]])
        >>> round(float(learned_gaussian_nll(A, jnp.zeros((1, 2)))), 4)
        3.6085

    References:
        Kingma & Welling, Auto-encoding variational Bayes, ICLR 2014, appendix C.2,
        https://arxiv.org/abs/1312.6114
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (gaussian_nll, learned_gaussian_nll)}
