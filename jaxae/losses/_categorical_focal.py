"""Categorical focal loss: cross-entropy of classes that turns away from what is already right."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._categorical_probabilities import Shares
from jaxae.losses._error import Event, reads, takes
from jaxae.losses._fusion import fenced
from jaxae.losses._hyperparameters import (
    as_tuple,
    check_between,
    check_from_to,
    check_not_negative,
    store_python_numbers,
)
from jaxae.losses._loss import Loss
from jaxae.losses._smoothing import smooth

SOFT = Event(prediction=1, target=1, masking="slopes")


@dataclasses.dataclass(frozen=True)
class _Focus:
    """What both errors have: the power, weights of the classes, and smooth labels."""

    gamma: float = 2.0
    alpha: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    def __post_init__(self):
        check_not_negative("gamma", self.gamma)
        check_from_to("label_smoothing", self.label_smoothing, 0, 1)
        if self.alpha is not None:
            object.__setattr__(self, "alpha", as_tuple("alpha", self.alpha))
            for weight in self.alpha:
                check_not_negative("alpha", weight)
        store_python_numbers(self)

    def _weights(self, target: Array) -> Array:
        """The smooth labels, each times the weight of its class."""
        classes = target.shape[-1]
        target = smooth(target, self.label_smoothing, classes)
        if self.alpha is None:
            return target
        if len(self.alpha) != classes:
            raise ValueError(
                f"alpha has {len(self.alpha)} weights, expected one for each of the {classes} "
                "classes on the last axis"
            )
        return target * jnp.broadcast_to(jnp.asarray(self.alpha, target.dtype), target.shape)


class _Odds(NamedTuple):
    """What both errors are made of: p, 1 − p and −log p of each class."""

    p: Array
    rest: Array
    surprise: Array

    def errors(self, gamma: float) -> Array:
        """(1 − p)^γ (−log p), the error of each class where it is the right one."""
        return _power(self.rest, gamma) * self.surprise

    def costs(self, gamma: float) -> Array:
        """How much it falls for each unit of log p: (1 − p)^γ (1 + γp (−log p)/(1 − p))."""
        certain = self.rest < jnp.finfo(self.rest.dtype).eps
        ratio = jnp.where(certain, 1, self.surprise / jnp.where(certain, 1, self.rest))
        return _power(self.rest, gamma) * (1 + gamma * (self.p * ratio))


def _power(base: Array, gamma: float) -> Array:
    if gamma == int(gamma):
        return base ** int(gamma)  # a few multiplications
    return jnp.maximum(base, jnp.finfo(base.dtype).tiny) ** gamma


@reads(jax.nn.softmax)
@takes(SOFT)
@dataclasses.dataclass(frozen=True)
class CategoricalFocalError(_Focus):
    """Categorical focal error from logits to probabilities of classes, in nats per event.

    e = −Σₖ aₖ y′ₖ (1 − pₖ)^γ log pₖ, p = softmax(z), y′ = y(1 − s) + s/K

    A sum of non-negative parts; it and its derivatives are finite at all logits. With γ = 0 and no
    weights it is `CategoricalCrossEntropy`. Its derivative by zⱼ is pⱼ Σ_{k≠j} cₖ − (1 − pⱼ) cⱼ
    with cₖ = aₖ y′ₖ (1 − pₖ)^γ (1 − γ pₖ log pₖ/(1 − pₖ)). Keras clips p to [1e-7, 1 − 1e-7].

    Args:
        gamma: γ ≥ 0, how much less counts what is nearly right.
        alpha: a, the weight of each class, as a sequence of K numbers; None for no weights. One
            number for all, Keras's default of 0.25, is a factor of the loss.
        label_smoothing: s in [0, 1], how far targets move towards 1/K.

    Raises:
        ValueError: a gamma or weight that is negative or infinite, smoothing outside [0, 1]; when
            called, another number of weights than classes.

    Example:
        >>> z, y = jnp.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), jnp.eye(3)[:2]
        >>> CategoricalFocalError()(z, y).round(4)
        Array([0.0008, 0.4883], dtype=float32)

    References:
        Lin et al., Focal loss for dense object detection, ICCV 2017, equation 5,
        https://arxiv.org/abs/1708.02002
        keras.losses.CategoricalFocalCrossentropy,
        https://keras.io/api/losses/probabilistic_losses
    """

    def __call__(
        self, logits: Float[Array, "... K"], target: Float[Array, "... K"]
    ) -> Float[Array, "..."]:
        return _from_logits(self.gamma, logits, self._weights(target))

    def derivative(self, logits: Array, target: Array) -> Array:
        """The derivative by the logits."""
        return _slope(self.gamma, logits, self._weights(target))


@jax.custom_jvp
def _softmax(z: Array) -> _Odds:
    """Of logits; the most likely class, whose p may round to 1, keeps the digits of 1 − p."""
    largest = fenced(z.max(-1))[..., None]
    weights, top = jnp.exp(z - largest), z == largest
    total, others = weights.sum(-1), fenced(jnp.where(top, 0, weights)).sum(-1)
    # Classes that are equally likely are among the others of each other.
    others = jnp.where(total < 1.5, others, total - 1)
    share, log_total = (fenced(x)[..., None] for x in (1 / (1 + others), jnp.log1p(others)))
    rest = jnp.where(top, others[..., None], 1 + (others[..., None] - weights)) * share
    # A class that is ruled out has −inf, which times 0 would be NaN.
    surprise = log_total + jnp.minimum(largest - z, jnp.finfo(z.dtype).max)
    return _Odds(weights * share, rest, surprise)


@_softmax.defjvp
def _softmax_jvp(primals, tangents):
    odds, (dz,) = _softmax(*primals), tangents
    rise = dz - (odds.p * dz).sum(-1, keepdims=True)
    return odds, _Odds(odds.p * rise, -odds.p * rise, -rise)


def _slope(gamma: float, z: Array, weights: Array) -> Array:
    odds = _softmax(z)
    costs = weights * odds.costs(gamma)
    # Where one class alone costs anything, no digits cancel.
    return odds.p * (costs.sum(-1, keepdims=True) - costs) - odds.rest * costs


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _from_logits(gamma: float, z: Array, weights: Array) -> Array:
    return fenced(weights * _softmax(z).errors(gamma)).sum(-1)


@_from_logits.defjvp
def _from_logits_jvp(gamma, primals, tangents):
    (z, weights), (dz, dweights) = primals, tangents
    errors = _softmax(z).errors(gamma)
    return (weights * errors).sum(-1), (_slope(gamma, z, weights) * dz + errors * dweights).sum(-1)


@takes(SOFT)
@dataclasses.dataclass(frozen=True)
class ClippedCategoricalFocalError(_Focus):
    """Categorical focal error from clipped probabilities, in nats per event.

    e = −Σₖ aₖ y′ₖ (1 − qₖ)^γ log qₖ, q = min(max(p/Σⱼ pⱼ, ε), 1 − ε), y′ = y(1 − s) + s/K

    Keras's, `from_logits=False`. With γ = 0 and no weights it is `ClippedCategoricalCrossEntropy`.
    Its derivative by pⱼ is (Σₖ cₖ − cⱼ/qⱼ)/Σₖ pₖ, cₖ as of `CategoricalFocalError`, and 0 for a
    class that is clipped.

    Args:
        gamma: γ ≥ 0, how much less counts what is nearly right.
        alpha: a, the weight of each class, as a sequence of K numbers; None for no weights.
        label_smoothing: s in [0, 1], how far targets move towards 1/K.
        epsilon: ε in (0, ½), the smallest probability.

    Raises:
        ValueError: a gamma or weight that is negative or infinite, smoothing outside [0, 1], an
            epsilon outside (0, ½); when called, another number of weights than classes.

    Example:
        >>> p, y = jnp.array([[0.05, 0.9, 0.05], [0.1, 0.85, 0.05]]), jnp.eye(3)[1:]
        >>> [round(x, 4) for x in ClippedCategoricalFocalError()(p, y).tolist()]
        [0.0011, 2.7036]

    References:
        Lin et al., Focal loss for dense object detection, ICCV 2017, equation 5,
        https://arxiv.org/abs/1708.02002
        keras.losses.CategoricalFocalCrossentropy,
        https://keras.io/api/losses/probabilistic_losses
    """

    epsilon: float = 1e-7

    def __post_init__(self):
        check_between("epsilon", self.epsilon, 0, 0.5)
        super().__post_init__()

    def __call__(
        self, probability: Float[Array, "... K"], target: Float[Array, "... K"]
    ) -> Float[Array, "..."]:
        return _from_probabilities(self.gamma, self.epsilon, probability, self._weights(target))

    def derivative(self, probability: Array, target: Array) -> Array:
        """The derivative by the probabilities, of which no clipped one is the cause."""
        shares = Shares.of(probability, self.epsilon)
        return shares.slope(self._weights(target) * _of_shares(shares).costs(self.gamma))


def _of_shares(shares: Shares) -> _Odds:
    return _Odds(shares.clipped, 1 - shares.clipped, -jnp.log(shares.clipped))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _from_probabilities(gamma: float, epsilon: float, p: Array, weights: Array) -> Array:
    return (weights * _of_shares(Shares.of(p, epsilon)).errors(gamma)).sum(-1)


@_from_probabilities.defjvp
def _from_probabilities_jvp(gamma, epsilon, primals, tangents):
    (p, weights), (dp, dweights) = primals, tangents
    shares = Shares.of(p, epsilon)
    odds = _of_shares(shares)
    errors, slope = odds.errors(gamma), shares.slope(weights * odds.costs(gamma))
    return (weights * errors).sum(-1), (slope * dp + errors * dweights).sum(-1)


categorical_focal = Loss(CategoricalFocalError()).documented(
    "categorical_focal",
    """Mean categorical focal loss from logits, of γ = 2 without weights, in nats: Σ e / (N·T).

    e = −Σₖ yₖ (1 − pₖ)² log pₖ, p = softmax(z). Predictions and targets have one more axis, the
    last, that holds the K classes; the sum is divided by the number of events, not of classes. For
    another γ, weights of the classes or smooth labels write `Loss(CategoricalFocalError(gamma=…))`;
    from probabilities, `Loss(ClippedCategoricalFocalError())`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(categorical_focal(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]])).round(4))
        0.1733

    References:
        Lin et al., Focal loss for dense object detection, ICCV 2017, equation 4,
        https://arxiv.org/abs/1708.02002
        keras.losses.CategoricalFocalCrossentropy,
        https://keras.io/api/losses/probabilistic_losses
    """,
)

__test__ = {categorical_focal.name: categorical_focal.__doc__}
