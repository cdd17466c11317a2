"""Binary cross-entropy from logits: the error of a probability that is never rounded to 1."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import log1p, log1p_of_share
from jaxae.losses._error import closed_form, from_logits
from jaxae.losses._fusion import fenced, unshared
from jaxae.losses._hyperparameters import check_from_to, store_python_numbers
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss
from jaxae.losses._smoothing import smooth


def _slope(logits: Array, target: Array) -> Array:
    return _weighted_slope(logits, target, 1 - target)


def _weighted_slope(z: Array, positive: Array, negative: Array) -> Array:
    # negative·σ(z) − positive·σ(−z), by the exponential that the error needs anyway.
    smaller = jnp.exp(-abs(z))
    difference = jnp.where(z >= 0, negative - positive * smaller, negative * smaller - positive)
    return difference * (1 / (1 + smaller))


@from_logits
@closed_form(_slope)
def binary_cross_entropy(
    logits: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Binary cross-entropy from logits, elementwise, in nats.

    e = −y log σ(z) − (1 − y) log σ(−z) = max(z, 0)(1 − y) + max(−z, 0)y + log(1 + exp(−|z|))

    A sum of non-negative parts, so no digits cancel. For a target between 0 and 1 its minimum is
    not 0 but the target's entropy, reached at σ(z) = y. Its derivative is σ(z) − y, computed as
    (1 − y)σ(z) − yσ(−z), which keeps its digits at large logits.

    Args:
        logits: z, of any shape; the probability is σ(z).
        target: y in [0, 1], of the same shape; it need not be 0 or 1.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> binary_cross_entropy(jnp.array([0.0, 0.0, 200.0]), jnp.array([1.0, 0.5, 0.0])).round(4)
        Array([  0.6931,   0.6931, 200.    ], dtype=float32)

    References:
        Bishop, Pattern recognition and machine learning, Springer, 2006, equation 4.90,
        https://www.microsoft.com/en-us/research/people/cmbishop/prml-book/
    """
    return _from_logits(logits, target)


@jax.custom_jvp
def _from_logits(z: Array, y: Array) -> Array:
    linear = jnp.maximum(z, 0) * (1 - y) + jnp.maximum(-z, 0) * y
    return linear + jnp.log1p(jnp.exp(-abs(z)))


@_from_logits.defjvp
def _from_logits_jvp(primals, tangents):
    (z, y), (dz, dy) = primals, tangents
    # To rounding the same value, in a form that XLA on CPU computes in one loop with the slope.
    value = abs(z) * jnp.where(z < 0, y, 1 - y) + log1p_of_share(jnp.exp(-abs(z)))
    return fenced(value), _slope(z, y) * dz - z * dy


@from_logits
@dataclasses.dataclass(frozen=True)
class BinaryCrossEntropy:
    """Binary cross-entropy from logits with a weight for positives and smooth labels, in nats.

    e = −w y′ log σ(z) − (1 − y′) log σ(−z), y′ = y(1 − s) + s/2

    A sum of non-negative parts, elementwise. Without a weight and without smoothing it is
    `binary_cross_entropy` itself. Its derivative is (1 − y′)σ(z) − w y′σ(−z).

    Args:
        pos_weight: w > 0, what the part of the positive class is multiplied by, as in torch: 3
            where there are three times as many negatives.
        label_smoothing: s in [0, 1], how far targets move towards ½, as in Keras.

    Raises:
        ValueError: a weight that is not between 1e-30 and 1e30, smoothing outside [0, 1].

    Example:
        >>> z, y = jnp.array([0.0, 0.0]), jnp.array([1.0, 0.0])
        >>> BinaryCrossEntropy(pos_weight=3.0)(z, y).round(4)
        Array([2.0794, 0.6931], dtype=float32)

    References:
        torch.nn.BCEWithLogitsLoss,
        https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
        keras.losses.BinaryCrossentropy, https://keras.io/api/losses/probabilistic_losses
    """

    pos_weight: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self):
        check_from_to("pos_weight", self.pos_weight, 1e-30, 1e30)  # in float32, with room
        check_from_to("label_smoothing", self.label_smoothing, 0, 1)
        store_python_numbers(self)

    def __call__(
        self, logits: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        target = smooth(target, self.label_smoothing)
        if self.pos_weight == 1:
            return binary_cross_entropy(logits, target)
        return unshared(_weighted)(logits, self.pos_weight * target, 1 - target)

    def derivative(self, logits: Array, target: Array) -> Array:
        """The derivative by the logits."""
        target = smooth(target, self.label_smoothing)
        return _weighted_slope(logits, self.pos_weight * target, 1 - target)


@jax.custom_jvp
def _weighted(z: Array, positive: Array, negative: Array) -> Array:
    return _weighted_parts(jnp.log1p, z, positive, negative)


def _weighted_parts(
    log: Callable[[Array], Array], z: Array, positive: Array, negative: Array
) -> Array:
    linear = jnp.maximum(z, 0) * negative + jnp.maximum(-z, 0) * positive
    return linear + (positive + negative) * log(jnp.exp(-abs(z)))


@_weighted.defjvp
def _weighted_jvp(primals, tangents):
    z, *parts = primals
    dz, *dparts = tangents
    # The error is linear in the weights of its two parts.
    slope = _weighted_slope(z, *parts)
    return _weighted_parts(log1p, z, *parts), slope * dz + _weighted_parts(log1p, z, *dparts)


def _draw(logits: Array, *, key: PRNGKeyArray) -> Array:
    return jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(logits.dtype)


bernoulli = Likelihood(binary_cross_entropy, jax.nn.sigmoid, sampler=_draw)

bce = Loss(binary_cross_entropy).documented(
    "bce",
    """Mean binary cross-entropy from logits over all numbers, in nats: Σ e / (N·C).

    The predictions are logits. On targets between 0 and 1 it does not reach zero: its minimum is
    the targets' mean entropy, at σ(logits) = targets. Its gradient is (σ(Z) − Y)/(N·C).

    Example:
        >>> import jax.numpy as jnp
        >>> print(bce(jnp.array([[0.0, 0.0]]), jnp.array([[0.0, 0.3]])).round(4))
        0.6931

    References:
        Bishop, Pattern recognition and machine learning, Springer, 2006, equation 4.90,
        https://www.microsoft.com/en-us/research/people/cmbishop/prml-book/
        torch.nn.BCEWithLogitsLoss,
        https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """,
)

bernoulli_nll = Loss(binary_cross_entropy, unit="sample").documented(
    "bernoulli_nll",
    """Negative log-likelihood of Bernoulli pixels, in nats per sample: Σ e / N.

    C times `bce`: summed over a sample's numbers, averaged over samples, the reconstruction term of
    a variational autoencoder and of Keras's example. The predictions are logits. Its gradient is
    (σ(Z) − Y)/N.

    Example:
        >>> import jax.numpy as jnp
        >>> print(bernoulli_nll(jnp.zeros((3, 784)), jnp.ones((3, 784))).round(2))
        543.43

    References:
        Kingma & Welling, Auto-encoding variational Bayes, ICLR 2014, appendix C.1,
        https://arxiv.org/abs/1312.6114
        Keras, Variational AutoEncoder, https://keras.io/examples/generative/vae
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (bce, bernoulli_nll)}
