"""Kullback-Leibler divergence: what a prediction of a distribution costs above the best one.

The errors are those of a single outcome: their sum over all outcomes is the divergence of one
distribution from another, in nats. So a mean over all numbers, as torch's "mean", is none; a mean
over samples is.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._clip import clipped
from jaxae.losses._elementary import finite_exp, log1p
from jaxae.losses._error import closed_form, derivative_of, reads
from jaxae.losses._fusion import unshared
from jaxae.losses._hyperparameters import check_between, store_python_numbers
from jaxae.losses._loss import Loss
from jaxae.losses._poisson import half_deviance, poisson_error


@reads(jnp.exp)
@closed_form(lambda log_probability, target: -jnp.maximum(target, 0))
def kl_divergence_error(
    log_probability: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """What one outcome adds to KL(y ‖ p), from the logarithm of its probability, in nats.

    e = y (log y − log p), and 0 where y = 0, even if log p is −inf

    Its sum over the outcomes is the divergence, 0 or more; e alone is negative where y < p. It is
    right to the rounding of the larger of its two terms. Its derivative is −y, whatever is
    predicted: only a prediction that is normalised, e.g. by `jax.nn.log_softmax`, has a minimum. A
    negative target counts as 0, and a log p of −inf as the least finite number.

    Args:
        log_probability: log p, of any shape.
        target: y in [0, 1], of the same shape.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> p, y = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.5, 0.5, 0.0])
        >>> round(float(kl_divergence_error(jnp.log(p), y).sum()), 4)
        0.3466

    References:
        Kullback & Leibler, On information and sufficiency, The Annals of Mathematical Statistics
        22(1), 1951, https://doi.org/10.1214/aoms/1177729694
        torch.nn.KLDivLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
        optax.losses.kl_divergence, its sum over an axis,
        https://optax.readthedocs.io/en/latest/api/losses.html
    """
    tiny = jnp.finfo(target.dtype).tiny
    return _weighed(jnp.maximum(target, 0), jnp.log(jnp.maximum(target, tiny)), log_probability)


@jax.custom_jvp
def _weighed(y: Array, log_y: Array, log_p: Array) -> Array:
    # An impossible outcome has −inf, which times 0 would be NaN; a choice by flags is slower.
    least = jnp.finfo(log_y.dtype).min
    return y * (jnp.maximum(log_y, least) - jnp.maximum(log_p, least))


@_weighed.defjvp
def _weighed_jvp(primals, tangents):
    (y, log_y, log_p), (dy, dlog_y, dlog_p) = primals, tangents
    ones = jnp.ones_like(y)
    return _weighed(*primals), _weighed(ones, log_y, log_p) * dy + y * (dlog_y - dlog_p)


@reads(jnp.exp)
@closed_form(lambda log_probability, log_target: -finite_exp(log_target))
def kl_divergence_error_from_log_targets(
    log_probability: Float[Array, "..."], log_target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """What one outcome adds to KL(y ‖ p), from the logarithms of both probabilities, in nats.

    e = exp(t)(t − log p), t = log y, and 0 where t is −inf

    `kl_divergence_error` for targets whose probabilities are too small to be written down. Its
    derivative is −exp(t).

    Args:
        log_probability: log p, of any shape.
        log_target: t, of the same shape.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> p, y = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.5, 0.5, 0.0])
        >>> round(float(kl_divergence_error_from_log_targets(jnp.log(p), jnp.log(y)).sum()), 4)
        0.3466

    References:
        torch.nn.KLDivLoss, log_target=True,
        https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
        optax.losses.kl_divergence_with_log_targets, its sum over an axis,
        https://optax.readthedocs.io/en/latest/api/losses.html
    """
    return _weighed(finite_exp(log_target), log_target, log_probability)


@reads(jnp.exp)
@closed_form(derivative_of(poisson_error))
def generalised_kl_divergence_error(
    log_probability: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """What one outcome adds to the generalised divergence of y from p, in nats, never negative.

    e = y (log y − log p) − y + p, and p where y = 0

    It is 0 where p = y, so neither has to add up to 1; where both do, the sum over the outcomes is
    that of `kl_divergence_error`. It is `poisson_error` above its smallest value, half the deviance
    of a count, and has its derivative, p − y.

    Args:
        log_probability: log p, of any shape; p ≥ 0 need not be a probability.
        target: y ≥ 0, of the same shape.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> p, y = jnp.array([2.0, 3.0, 3.0]), jnp.array([2.0, 1.0, 0.0])
        >>> generalised_kl_divergence_error(jnp.log(p), y).round(4)
        Array([0. , 0.901..., 3. ], dtype=float32)

    References:
        Lee & Seung, Algorithms for non-negative matrix factorization, NIPS 2000, section 3,
        https://papers.nips.cc/paper/1861-algorithms-for-non-negative-matrix-factorization
        optax.losses.generalized_kl_divergence, its sum over an axis,
        https://optax.readthedocs.io/en/latest/api/losses.html
    """
    return half_deviance(log_probability, target)


@dataclasses.dataclass(frozen=True)
class ClippedKLDivergence:
    """What one outcome adds to KL(y ‖ p), from clipped probabilities, elementwise, in nats.

    e = y′ log(y′/p′), y′ = min(max(y, ε), 1), p′ = min(max(p, ε), 1)

    Both are clipped, as in Keras, which sums over the last axis. Its derivative is −y′/p between ε
    and 1, and 0 outside.

    Args:
        epsilon: ε in (0, 1), the smallest probability.

    Raises:
        ValueError: an epsilon outside (0, 1).

    Example:
        >>> p, y = jnp.array([0.5, 0.25, 0.0]), jnp.array([0.5, 0.5, 1.0])
        >>> ClippedKLDivergence()(p, y).round(4)
        Array([ 0.    ,  0.3466, 16.1181], dtype=float32)

    References:
        keras.losses.KLDivergence, https://keras.io/api/losses/probabilistic_losses
    """

    epsilon: float = 1e-7

    def __post_init__(self):
        check_between("epsilon", self.epsilon, 0, 1)
        store_python_numbers(self)

    def __call__(
        self, probability: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return unshared(self._error)(probability, target)

    def _error(self, probability: Array, target: Array) -> Array:
        p, y = self._clip(probability), self._clip(target)
        return y * _log_of_quotient(y, p)

    def derivative(self, probability: Array, target: Array) -> Array:
        """The derivative by the probability; 0 where it was clipped."""
        p = self._clip(probability)
        return jnp.where(p == probability, -self._clip(target) / p, 0)

    def _clip(self, x: Array) -> Array:
        return clipped(x, self.epsilon, 0.0)


@jax.custom_jvp
def _log_of_quotient(y: Array, p: Array) -> Array:
    """log(y/p), with its digits where both are close."""
    return jnp.sign(y - p) * jnp.log1p(abs(y - p) / jnp.minimum(y, p))


@_log_of_quotient.defjvp
def _log_of_quotient_jvp(primals, tangents):
    (y, p), (dy, dp) = primals, tangents
    # In a form that is faster where the slope is taken as well.
    quotient = jnp.sign(y - p) * log1p(abs(y - p) / jnp.minimum(y, p))
    return quotient, dy / y - dp / p


kl_divergence = Loss(kl_divergence_error, unit="sample").documented(
    "kl_divergence",
    """Kullback-Leibler divergence of a sample's target from its prediction, in nats: Σ e / N.

    The predictions are logarithms of probabilities, which add up to 1 over a sample's axes, or over
    the last of them: then a sample's divergences are added. It is torch's "batchmean"; torch's
    "mean" divides by the number of outcomes too. Its gradient is −Y/N.

    Example:
        >>> import jax.numpy as jnp
        >>> P, Y = jnp.array([[0.5, 0.25, 0.25]]), jnp.array([[0.5, 0.5, 0.0]])
        >>> print(kl_divergence(jnp.log(P), Y).round(4))
        0.3466

    References:
        torch.nn.KLDivLoss, reduction="batchmean",
        https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
        Cover & Thomas, Elements of information theory, 2nd edition, Wiley, 2006, section 2.3,
        https://doi.org/10.1002/047174882X
    """,
)

kl_divergence_from_probabilities = Loss(ClippedKLDivergence(), unit="sample").documented(
    "kl_divergence_from_probabilities",
    """Kullback-Leibler divergence of a sample's target from its prediction, in nats: Σ e / N.

    Predictions and targets are probabilities, both clipped to [1e-7, 1], as in Keras; for sharper
    ones write `kl_divergence` with `jax.nn.log_softmax`. Its gradient is −(Y/P)/N, and 0 where P is
    clipped.

    Example:
        >>> import jax.numpy as jnp
        >>> P, Y = jnp.array([[0.5, 0.25, 0.25]]), jnp.array([[0.5, 0.5, 0.0]])
        >>> print(kl_divergence_from_probabilities(P, Y).round(4))
        0.3466

    References:
        keras.losses.KLDivergence, https://keras.io/api/losses/probabilistic_losses
    """,
)

generalised_kl_divergence = Loss(generalised_kl_divergence_error, unit="sample").documented(
    "generalised_kl_divergence",
    """Generalised divergence of a sample's target from its prediction, in nats: Σ e / N.

    e = y log(y/p) − y + p: the Kullback-Leibler divergence where both add up to 1, and 0 only where
    they are equal if not. The predictions are logarithms, of p. Its gradient is (P − Y)/N.

    Example:
        >>> import jax.numpy as jnp
        >>> P, Y = jnp.array([[2.0, 3.0, 3.0]]), jnp.array([[2.0, 1.0, 0.0]])
        >>> print(generalised_kl_divergence(jnp.log(P), Y).round(4))
        3.901...

    References:
        Lee & Seung, Algorithms for non-negative matrix factorization, NIPS 2000, section 3,
        https://papers.nips.cc/paper/1861-algorithms-for-non-negative-matrix-factorization
    """,
)

__test__ = {
    loss.name: loss.__doc__
    for loss in (kl_divergence, kl_divergence_from_probabilities, generalised_kl_divergence)
}
