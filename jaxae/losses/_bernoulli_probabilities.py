"""Binary cross-entropy from probabilities, and the two ways to keep it finite at 0 and 1."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._clip import clipped
from jaxae.losses._elementary import log1p
from jaxae.losses._error import closed_form
from jaxae.losses._fusion import unshared
from jaxae.losses._hyperparameters import check_between, check_from_to, store_python_numbers
from jaxae.losses._loss import Loss
from jaxae.losses._smoothing import smooth


def _slope(probability: Array, target: Array) -> Array:
    # A divisor is at least 1e-12, as in torch.
    below = jnp.maximum(1 - probability, 1e-12)
    return (1 - target) / below - target / jnp.maximum(probability, 1e-12)


@closed_form(_slope)
def binary_cross_entropy_from_probabilities(
    probability: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Binary cross-entropy from a probability, elementwise, in nats.

    e = −y max(log p, −100) − (1 − y) max(log(1 − p), −100)

    The clamp is torch's, −100 on the logarithm: finite at p = 0 and p = 1, and exact everywhere
    between; Keras's is `ClippedBinaryCrossEntropy`. Its derivative is
    (1 − y) / max(1 − p, 1e-12) − y / max(p, 1e-12). Prefer `binary_cross_entropy` where logits are
    at hand: a float32 probability within 3e-8 of 1 has already been rounded to 1.

    Args:
        probability: p in [0, 1], of any shape.
        target: y in [0, 1], of the same shape.

    Returns:
        The errors, of the same shape, in nats, at most 100.

    Example:
        >>> p, y = jnp.array([0.5, 1.0]), jnp.array([1.0, 0.0])
        >>> binary_cross_entropy_from_probabilities(p, y).round(4)
        Array([  0.6931, 100.    ], dtype=float32)

    References:
        torch.nn.BCELoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """
    return _from_probabilities(probability, target)


@jax.custom_jvp
def _from_probabilities(p: Array, y: Array) -> Array:
    present, absent = jnp.maximum(jnp.log(p), -100), jnp.maximum(jnp.log1p(-p), -100)
    return -(y * present + (1 - y) * absent)


@_from_probabilities.defjvp
def _from_probabilities_jvp(primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    log_odds = jnp.maximum(jnp.log(p), -100) - jnp.maximum(jnp.log1p(-p), -100)
    return _from_probabilities(p, y), _slope(p, y) * dp - log_odds * dy


@dataclasses.dataclass(frozen=True)
class ClippedBinaryCrossEntropy:
    """Binary cross-entropy from a clipped probability, elementwise, in nats.

    e = −y′ log p′ − (1 − y′) log(1 − p′), p′ = min(max(p, ε), 1 − ε), y′ = y(1 − s) + s/2

    The clip is Keras's, ε = 1e-7 on the probability; torch's is −100 on the logarithm
    (`binary_cross_entropy_from_probabilities`). A float32 1 − 1e-7 is 1 − 1.19e-7, so the largest
    error is 16.12 at p = 0 and 15.94 at p = 1. Its derivative is (1 − y′)/(1 − p) − y′/p between ε
    and 1 − ε and 0 outside: what is certain and wrong learns nothing.

    Args:
        epsilon: ε in (0, ½), the smallest probability.
        label_smoothing: s in [0, 1], how far targets move towards ½.

    Raises:
        ValueError: an epsilon outside (0, ½), smoothing outside [0, 1].

    Example:
        >>> p, y = jnp.array([0.5, 0.0, 1.0]), jnp.array([1.0, 1.0, 0.0])
        >>> ClippedBinaryCrossEntropy()(p, y).round(4)
        Array([ 0.6931, 16.1181, 15.9424], dtype=float32)

    References:
        keras.losses.BinaryCrossentropy, https://keras.io/api/losses/probabilistic_losses
    """

    epsilon: float = 1e-7
    label_smoothing: float = 0.0

    def __post_init__(self):
        check_between("epsilon", self.epsilon, 0, 0.5)
        check_from_to("label_smoothing", self.label_smoothing, 0, 1)
        store_python_numbers(self)

    def __call__(
        self, probability: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        target = smooth(target, self.label_smoothing)
        return unshared(functools.partial(_cross_entropy, self.epsilon))(probability, target)

    def derivative(self, probability: Array, target: Array) -> Array:
        """The derivative by the probability; 0 where it was clipped."""
        target = smooth(target, self.label_smoothing)
        return _clipped_slope(self.epsilon, probability, target)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _cross_entropy(epsilon: float, p: Array, y: Array) -> Array:
    inside = clipped(p, epsilon, epsilon)
    return -(y * jnp.log(inside) + (1 - y) * jnp.log1p(-inside))


def _clipped_slope(epsilon: float, p: Array, y: Array) -> Array:
    inside = clipped(p, epsilon, epsilon)
    return jnp.where(p == inside, (1 - y) / (1 - inside) - y / inside, 0)


@_cross_entropy.defjvp
def _cross_entropy_jvp(epsilon, primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    inside = clipped(p, epsilon, epsilon)
    log_odds = jnp.log(inside) - jnp.log1p(-inside)
    value = -(y * jnp.log(inside) + (1 - y) * log1p(-inside))
    return value, _clipped_slope(epsilon, p, y) * dp - log_odds * dy


bce_from_probabilities = Loss(binary_cross_entropy_from_probabilities).documented(
    "bce_from_probabilities",
    """Mean binary cross-entropy from probabilities over all numbers, in nats: Σ e / (N·C).

    The predictions are probabilities; a logarithm below −100 counts as −100, as in torch. (Keras
    clips the probability instead: `Loss(ClippedBinaryCrossEntropy())`.) Its gradient is
    ((1 − Y)/(1 − P) − Y/P)/(N·C), where a divisor below 1e-12 counts as 1e-12.

    Example:
        >>> import jax.numpy as jnp
        >>> print(bce_from_probabilities(jnp.array([[0.5, 0.5]]), jnp.array([[0.0, 0.3]])).round(4))
        0.6931

    References:
        torch.nn.BCELoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """,
)

__test__ = {bce_from_probabilities.name: bce_from_probabilities.__doc__}
