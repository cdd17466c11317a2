"""Focal loss: binary cross-entropy that turns away from what is already right."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._error import from_logits
from jaxae.losses._fusion import fenced
from jaxae.losses._hyperparameters import check_from_to, check_not_negative, store_python_numbers
from jaxae.losses._loss import Loss
from jaxae.losses._smoothing import smooth


@from_logits
@dataclasses.dataclass(frozen=True)
class FocalError:
    """Binary focal error from logits, elementwise, in nats.

    e = −y′ a₁ (1 − p)^γ log p − (1 − y′) a₀ p^γ log(1 − p), p = σ(z), y′ = y(1 − s) + s/2

    A sum of non-negative parts; it and its derivatives are finite at all logits. With γ = 0 and no
    weights it is `BinaryCrossEntropy`. For targets of 0 and 1 it is the focal loss of optax,
    torchvision and Keras. For targets between, which smoothing makes too, they take one factor,
    (y′(1 − p) + (1 − y′)p)^γ, for both parts; here each class has its own.

    Its derivative is (1 − y′) a₀ p^γ [p − γ(1 − p) log(1 − p)] −
    y′ a₁ (1 − p)^γ [1 − p − γp log p].

    Args:
        gamma: γ ≥ 0, how much less counts what is nearly right.
        alpha: a₁ in [0, 1], the weight of the positive class; a₀ = 1 − a₁ is that of the negative.
            None for no weights, a₁ = a₀ = 1. It does the job of a `pos_weight` w: with
            α = w/(1 + w) the error is 1/(1 + w) times that of weights w and 1.
        label_smoothing: s in [0, 1], how far targets move towards ½.

    Raises:
        ValueError: a negative or infinite gamma, an alpha or smoothing outside [0, 1].

    Example:
        >>> z, y = jnp.array([1.0, 0.0, -3.0]), jnp.ones(3)
        >>> print(FocalError()(z, y).round(4))
        [0.0227 0.1733 2.7663]

    References:
        Lin et al., Focal loss for dense object detection, ICCV 2017, equations 4 and 5,
        https://arxiv.org/abs/1708.02002
    """

    gamma: float = 2.0
    alpha: float | None = None
    label_smoothing: float = 0.0

    def __post_init__(self):
        check_not_negative("gamma", self.gamma)
        if self.alpha is not None:
            check_from_to("alpha", self.alpha, 0, 1)
        check_from_to("label_smoothing", self.label_smoothing, 0, 1)
        store_python_numbers(self)

    def __call__(
        self, logits: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return _focal(self.gamma, logits, *self._weights(target))

    def derivative(self, logits: Array, target: Array) -> Array:
        """The derivative by the logits."""
        return _slope(self.gamma, logits, *self._weights(target))

    def _weights(self, target: Array) -> tuple[Array, Array]:
        target = smooth(target, self.label_smoothing)
        if self.alpha is None:
            return target, 1 - target
        return self.alpha * target, (1 - self.alpha) * (1 - target)


def _value(gamma: float, z: Array, positive: Array, negative: Array) -> Array:
    p, q, lp, lq = _both_sides(z)
    against_p, against_q = _power(gamma, q, lq) * lp, _power(gamma, p, lp) * lq
    return fenced(positive * against_p + negative * against_q)


def _slope(gamma: float, z: Array, positive: Array, negative: Array) -> Array:
    p, q, lp, lq = _both_sides(z)
    rises = _power(gamma, p, lp) * (p + gamma * (q * lq))
    falls = _power(gamma, q, lq) * (q + gamma * (p * lp))
    return negative * rises - positive * falls


def _both_sides(z: Array) -> tuple[Array, Array, Array, Array]:
    """The probabilities p = σ(z) and q = 1 − p, and −log p and −log q, with all their digits."""
    odds = jnp.exp(-abs(z))
    whole = fenced(1 + odds)
    larger = 1 / whole
    rest = jnp.log(whole) + (odds - (whole - 1)) * larger  # log(1 + odds), as log1p
    smaller, surprise = odds * larger, rest + abs(z)
    below = z < 0
    p, q = jnp.where(below, smaller, larger), jnp.where(below, larger, smaller)
    return p, q, jnp.where(below, surprise, rest), jnp.where(below, rest, surprise)


def _power(gamma: float, base: Array, minus_log: Array) -> Array:
    # A few multiplications are faster than exp(γ log).
    if gamma <= 8 and gamma == int(gamma):
        return jax.lax.integer_pow(base, int(gamma))
    return jnp.exp(-gamma * minus_log)


_focal = functools.partial(jax.custom_jvp, nondiff_argnums=(0,))(_value)


@_focal.defjvp
def _focal_jvp(gamma, primals, tangents):
    z, *weights = primals
    dz, *dweights = tangents
    # The error is linear in the weights of its two parts.
    slope = _slope(gamma, z, *weights)
    return _value(gamma, z, *weights), slope * dz + _value(gamma, z, *dweights)


focal = Loss(FocalError()).documented(
    "focal",
    """Mean focal loss from logits over all numbers, of γ = 2 without weights: Σ e / (N·C).

    e = −y (1 − p)² log p − (1 − y) p² log(1 − p), in nats; the predictions are logits, p = σ(z).
    Lin et al. divide the sum by the number of positives instead. For another γ, weights of the
    classes or smooth labels write `Loss(FocalError(gamma=…, alpha=…, label_smoothing=…))`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(focal(jnp.array([[0.0, -3.0]]), jnp.array([[1.0, 1.0]])).round(4))
        1.4698

    References:
        Lin et al., Focal loss for dense object detection, ICCV 2017, equation 4 and section 4.1,
        https://arxiv.org/abs/1708.02002
    """,
)

__test__ = {focal.name: focal.__doc__}
