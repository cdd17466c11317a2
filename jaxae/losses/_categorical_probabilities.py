"""Categorical cross-entropy from probabilities, divided by their sum and clipped as in Keras.

The last axis of the predictions holds the K classes, and what counts as one element is the event:
see `categorical_cross_entropy`, which takes logits and is to be preferred where they are at hand.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from jaxae.losses._clip import bounds, clipped
from jaxae.losses._elementary import saturated
from jaxae.losses._error import Event, takes
from jaxae.losses._fusion import fenced
from jaxae.losses._hyperparameters import check_between, check_from_to, store_python_numbers
from jaxae.losses._loss import Loss
from jaxae.losses._smoothing import smooth


class Shares(NamedTuple):
    """Each class's share of the numbers along the last axis, clipped to [ε, 1 − ε].

    Args:
        clipped: the shares q.
        inside: whether a share was left as it is.
        total: what the numbers were divided by: their sum, or 1 where that is 0.
    """

    clipped: Array
    inside: Array
    total: Array

    @classmethod
    def of(cls, p: Array, epsilon: float) -> "Shares":
        """The shares of numbers p, of shape (..., K)."""
        total = fenced(_total(p))[..., None]
        share = p / total
        inside = clipped(share, epsilon, epsilon)
        return cls(inside, share == inside, total)

    def slope(self, costs: Array) -> Array:
        """The derivative by p of an error that falls by `costs` for each unit of log q.

        (Σₖ cₖ − cⱼ/qⱼ)/Σₖ pₖ, in which what is clipped costs nothing; −cⱼ(1 − qⱼ)/qⱼ for a class
        that alone costs anything, without a difference.
        """
        costs = jnp.where(self.inside, costs, 0)
        others = costs.sum(-1, keepdims=True) - costs
        own = costs * ((1 - self.clipped) / self.clipped)
        return saturated((others - own) / self.total)


def _total(p: Array) -> Array:
    # A sum, because a choice would be slower.
    total = p.sum(-1)
    return total + (abs(total) < jnp.finfo(p.dtype).tiny).astype(p.dtype)


@takes(Event(prediction=1, target=1, masking="slopes"))
@dataclasses.dataclass(frozen=True)
class ClippedCategoricalCrossEntropy:
    """Categorical cross-entropy from clipped probabilities to probabilities, in nats per event.

    e = −Σₖ y′ₖ log qₖ, q = min(max(p/Σⱼ pⱼ, ε), 1 − ε), y′ = y(1 − s) + s/K

    Keras's, `from_logits=False`: the predictions are divided by their sum first, so that any
    numbers that are not negative will do. scikit-learn's `log_loss` does not divide, and its ε is
    that of the dtype, 1.2e-7 in float32. Where all are 0 every class counts as ε. The derivative
    by pⱼ is (Σₖ y′ₖ − y′ⱼ/qⱼ)/Σₖ pₖ, where a class that is clipped counts as y′ₖ = 0.

    Args:
        epsilon: ε in (0, ½), the smallest probability.
        label_smoothing: s in [0, 1], how far targets move towards 1/K.

    Raises:
        ValueError: an epsilon outside (0, ½), smoothing outside [0, 1].

    Example:
        >>> p, y = jnp.array([[0.2, 0.6, 0.0], [0.0, 1.0, 0.0]]), jnp.eye(3)[jnp.array([1, 0])]
        >>> ClippedCategoricalCrossEntropy()(p, y).round(4)
        Array([ 0.2877, 16.1181], dtype=float32)

    References:
        keras.losses.CategoricalCrossentropy, https://keras.io/api/losses/probabilistic_losses
    """

    epsilon: float = 1e-7
    label_smoothing: float = 0.0

    def __post_init__(self):
        check_between("epsilon", self.epsilon, 0, 0.5)
        check_from_to("label_smoothing", self.label_smoothing, 0, 1)
        store_python_numbers(self)

    def __call__(
        self, probability: Float[Array, "... K"], target: Float[Array, "... K"]
    ) -> Float[Array, "..."]:
        return _cross_entropy(self.epsilon, probability, self._smooth(target))

    def derivative(self, probability: Array, target: Array) -> Array:
        """The derivative by the probabilities, of which no clipped one is the cause."""
        return Shares.of(probability, self.epsilon).slope(self._smooth(target))

    def _smooth(self, target: Array) -> Array:
        return smooth(target, self.label_smoothing, target.shape[-1])


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _cross_entropy(epsilon: float, p: Array, y: Array) -> Array:
    # By `clipped` it takes a tenth longer, with a logarithm and a division in the same loop.
    shares = jnp.clip(p / _total(p)[..., None], *bounds(p, epsilon, epsilon))
    return -(y * jnp.log(shares)).sum(-1)


@_cross_entropy.defjvp
def _cross_entropy_jvp(epsilon, primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    shares = Shares.of(p, epsilon)
    surprises = -jnp.log(shares.clipped)
    return (y * surprises).sum(-1), (shares.slope(y) * dp + surprises * dy).sum(-1)


@takes(Event(prediction=1, target=0, classes=True, masking="slopes"))
@dataclasses.dataclass(frozen=True)
class ClippedCategoricalCrossEntropyFromClasses:
    """Categorical cross-entropy from clipped probabilities to a known class, in nats per event.

    e = −log q_c, q = min(max(p/Σⱼ pⱼ, ε), 1 − ε)

    Its derivative by pⱼ is 1/Σₖ pₖ, less 1/p_c at j = c; 0 where q_c is clipped. A class outside
    0, …, K − 1 gives NaN, value and gradient: mask what has no class.

    Args:
        epsilon: ε in (0, ½), the smallest probability.

    Raises:
        ValueError: an epsilon outside (0, ½).

    Example:
        >>> p = jnp.array([[0.2, 0.6, 0.0], [0.0, 1.0, 0.0], [0.2, 0.6, 0.0]])
        >>> ClippedCategoricalCrossEntropyFromClasses()(p, jnp.array([1, 0, 3])).round(4)
        Array([ 0.2877, 16.1181,     nan], dtype=float32)

    References:
        keras.losses.SparseCategoricalCrossentropy, https://keras.io/api/losses/probabilistic_losses
    """

    epsilon: float = 1e-7

    def __post_init__(self):
        check_between("epsilon", self.epsilon, 0, 0.5)
        store_python_numbers(self)

    def __call__(
        self, probability: Float[Array, "... K"], classes: Integer[Array, "..."]
    ) -> Float[Array, "..."]:
        return _cross_entropy_from_classes(self.epsilon, probability, classes)

    def derivative(self, probability: Array, classes: Array) -> Array:
        """The derivative by the probabilities; 0 where that of the class was clipped."""
        return Shares.of(probability, self.epsilon).slope(_one_hot(probability, classes))


def _one_hot(p: Array, classes: Array) -> Array:
    """1 at each event's class, else 0; NaN everywhere where there is no such class."""
    # A byte cannot hold that there are 256 classes.
    classes = classes if classes.dtype.itemsize >= 4 else classes.astype(jnp.int32)
    own = jax.lax.broadcasted_iota(classes.dtype, p.shape, p.ndim - 1) == classes[..., None]
    exists = (classes >= 0) & (classes < p.shape[-1])
    return jnp.where(exists[..., None], own.astype(p.dtype), jnp.nan)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _cross_entropy_from_classes(epsilon: float, p: Array, classes: Array) -> Array:
    chosen = (_one_hot(p, classes) * p).sum(-1)
    return -jnp.log(clipped(chosen / _total(p), epsilon, epsilon))


@_cross_entropy_from_classes.defjvp
def _cross_entropy_from_classes_jvp(epsilon, primals, tangents):
    (p, classes), (dp, _) = primals, tangents
    slope = Shares.of(p, epsilon).slope(_one_hot(p, classes))
    return _cross_entropy_from_classes(epsilon, p, classes), (slope * dp).sum(-1)


cce_from_probabilities = Loss(ClippedCategoricalCrossEntropy()).documented(
    "cce_from_probabilities",
    """Mean categorical cross-entropy from probabilities to probabilities, in nats: Σ e / (N·T).

    Predictions and targets have one more axis, the last, that holds the K classes; masks and
    weights cover the others. Predictions are divided by their sum over the classes and clipped to
    [1e-7, 1 − 1e-7], as in Keras. The sum is divided by the number of events, not of classes.

    Example:
        >>> import jax.numpy as jnp
        >>> P, Y = jnp.array([[0.1, 0.1, 0.2]]), jnp.array([[0.0, 0.0, 1.0]])
        >>> print(cce_from_probabilities(P, Y).round(4))
        0.6931

    References:
        keras.losses.CategoricalCrossentropy, https://keras.io/api/losses/probabilistic_losses
    """,
)

cce_from_probabilities_and_classes = Loss(ClippedCategoricalCrossEntropyFromClasses()).documented(
    "cce_from_probabilities_and_classes",
    """Mean categorical cross-entropy from probabilities to known classes, in nats: Σ e / (N·T).

    Predictions have one more axis than targets, the last, that holds the probabilities of the K
    classes; targets are integers. Predictions are divided by their sum over the classes and clipped
    to [1e-7, 1 − 1e-7], as in Keras. A class outside 0, …, K − 1 gives NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> P, classes = jnp.array([[0.1, 0.1, 0.2]]), jnp.array([2])
        >>> print(cce_from_probabilities_and_classes(P, classes).round(4))
        0.6931

    References:
        keras.losses.SparseCategoricalCrossentropy, https://keras.io/api/losses/probabilistic_losses
    """,
)

__test__ = {
    loss.name: loss.__doc__ for loss in (cce_from_probabilities, cce_from_probabilities_and_classes)
}
