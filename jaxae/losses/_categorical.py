"""Categorical cross-entropy: one of K classes, e.g. one of a pixel's 256 levels.

The last axis of the logits holds the K classes. An error is computed from all of them, so what
counts as one element is the event, not the class: a mean over N·T events divides by N·T, as in
Keras and torch, and as the mean of what optax returns.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from jaxae.losses._error import Event, closed_form, reads, takes
from jaxae.losses._hyperparameters import check_from_to, check_whole, store_python_numbers
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss
from jaxae.losses._smoothing import smooth

SOFT = Event(prediction=1, target=1, masking="slopes")
HARD = Event(prediction=1, target=0, classes=True, masking="slopes")


def _below_top(z: Array) -> Array:
    # Softmax does not depend on what is subtracted, and neither do its derivatives.
    return z - jax.lax.stop_gradient(z.max(-1, keepdims=True))


def _slope(logits: Array, target: Array) -> Array:
    weights = jnp.exp(_below_top(logits))
    return weights * (target.sum(-1) / weights.sum(-1))[..., None] - target


@reads(jax.nn.softmax)
@takes(SOFT)
@closed_form(_slope)
def categorical_cross_entropy(
    logits: Float[Array, "... K"], target: Float[Array, "... K"]
) -> Float[Array, "..."]:
    """Categorical cross-entropy from logits to probabilities of classes, in nats per event.

    e = −Σₖ yₖ log softmax(z)ₖ = Σₖ yₖ (log Σⱼ exp(zⱼ − max z) + max z − zₖ)

    A class of probability 0 adds 0, even with a logit of −inf. Its derivative is
    softmax(z) Σₖ yₖ − y. Both are right to the rounding of Σⱼ exp(zⱼ − max z), which is 1 or more:
    where a single class is nearly certain, the value to 2e-7 nats in float32. Of a class that is
    known, `categorical_cross_entropy_from_classes` keeps the digits of the derivative.

    Args:
        logits: z, of shape (..., K).
        target: y ≥ 0, of the same shape; over the last axis it sums to 1.

    Returns:
        The errors, of shape (...), in nats.

    Example:
        >>> z, y = jnp.zeros((2, 4)), jnp.array([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
        >>> categorical_cross_entropy(z, y).round(4)
        Array([1.3863, 1.3863], dtype=float32)

    References:
        optax.losses.softmax_cross_entropy,
        https://optax.readthedocs.io/en/latest/api/losses.html
    """
    return _cross_entropy(logits, target)


@jax.custom_jvp
def _cross_entropy(z: Array, y: Array) -> Array:
    below = _below_top(z)
    log_total = jnp.log(jnp.exp(below).sum(-1))
    # A class that is ruled out has −inf, which times 0 would be NaN.
    return (y * (log_total[..., None] - jnp.maximum(below, jnp.finfo(z.dtype).min))).sum(-1)


@_cross_entropy.defjvp
def _cross_entropy_jvp(primals, tangents):
    (z, y), (dz, dy) = primals, tangents
    below, largest = _below_top(z), jnp.finfo(z.dtype).max
    surprises = jnp.log(jnp.exp(below).sum(-1))[..., None] - below
    # The same value by a choice, which XLA fuses better with the derivative.
    surprises = jnp.where(surprises > largest, largest, surprises)
    return (y * surprises).sum(-1), (_slope(z, y) * dz + surprises * dy).sum(-1)


@reads(jax.nn.softmax)
@takes(SOFT)
@dataclasses.dataclass(frozen=True)
class CategoricalCrossEntropy:
    """Categorical cross-entropy from logits to smooth labels, in nats per event.

    e = −Σₖ y′ₖ log softmax(z)ₖ, y′ = y(1 − s) + s/K

    Its derivative is softmax(z) Σₖ y′ₖ − y′. Without smoothing it is `categorical_cross_entropy`.

    Args:
        label_smoothing: s in [0, 1], how far targets move towards 1/K.

    Raises:
        ValueError: smoothing outside [0, 1].

    Example:
        >>> z, y = jnp.array([[3.0, 0.0]]), jnp.array([[1.0, 0.0]])
        >>> print(CategoricalCrossEntropy(label_smoothing=0.1)(z, y).round(4))
        [0.1986]

    References:
        keras.losses.CategoricalCrossentropy, https://keras.io/api/losses/probabilistic_losses
    """

    label_smoothing: float = 0.0

    def __post_init__(self):
        check_from_to("label_smoothing", self.label_smoothing, 0, 1)
        store_python_numbers(self)

    def __call__(
        self, logits: Float[Array, "... K"], target: Float[Array, "... K"]
    ) -> Float[Array, "..."]:
        return _cross_entropy(logits, smooth(target, self.label_smoothing, logits.shape[-1]))

    def derivative(self, logits: Array, target: Array) -> Array:
        """The derivative by the logits."""
        return _slope(logits, smooth(target, self.label_smoothing, logits.shape[-1]))


def _indices(classes: Array) -> Array:
    return classes if classes.dtype.itemsize >= 4 else classes.astype(jnp.int32)


def _chosen(z: Array, classes: Array) -> Array:
    """Each event's number for its class, NaN where there is no such class."""
    beyond = z.shape[-1]  # a negative index would count from the end
    indices = jnp.where(classes < 0, beyond, classes)[..., None]
    return jnp.take_along_axis(z, indices, -1, mode="fill", fill_value=jnp.nan)[..., 0]


def _weights(z: Array, classes: Array) -> tuple[Array, Array, Array]:
    """Whether each class is the event's own, the others' exp(z − max z), and its own z − max z."""
    # What an event has one of gets no axis of length 1, over which XLA on CPU does not vectorise;
    # and no array of z − max z is kept for the one number that is chosen.
    top = jax.lax.stop_gradient(z.max(-1))
    own = jax.lax.broadcasted_iota(classes.dtype, z.shape, z.ndim - 1) == classes[..., None]
    others = jnp.where(own, 0, jnp.exp(z - top[..., None]))
    return own, others, _chosen(z, classes) - top


def _slope_from_classes(logits: Array, classes: Array) -> Array:
    own, others, chosen = _weights(logits, _indices(classes))
    rest = others.sum(-1)
    # The own class has softmax − 1, which is minus the others' share: no digits cancel.
    shares = jnp.where(own, -rest[..., None], others)
    return shares * (1 / (rest + jnp.exp(chosen)))[..., None]


@reads(jax.nn.softmax)
@takes(HARD)
@closed_form(_slope_from_classes)
def categorical_cross_entropy_from_classes(
    logits: Float[Array, "... K"], classes: Integer[Array, "..."]
) -> Float[Array, "..."]:
    """Categorical cross-entropy from logits to a class that is known, in nats per event.

    e = −log softmax(z)_c = log Σⱼ exp(zⱼ − max z) + max z − z_c

    Its derivative is softmax(z)ₖ, less 1 at k = c, which is computed as minus the sum of the others
    and keeps its digits where softmax rounds to 1; so does a value that is taken with it. A value
    alone is right to the rounding of Σⱼ exp(zⱼ − max z), which is 1 or more: 2e-7 nats in float32
    where the class is nearly certain. A class outside 0, …, K − 1 gives NaN, value and gradient;
    −1 too, which is not the last class. Mask what has no class: what is masked cannot touch the
    result.

    Args:
        logits: z, of shape (..., K).
        classes: c, integers between 0 and K − 1, of shape (...).

    Returns:
        The errors, of shape (...), in nats.

    Example:
        >>> z = jnp.array([[0.0, 0.0], [0.0, 50.0], [0.0, 0.0]])
        >>> categorical_cross_entropy_from_classes(z, jnp.array([0, 1, -1])).round(4)
        Array([0.6931, 0.    ,    nan], dtype=float32)

    References:
        optax.losses.softmax_cross_entropy_with_integer_labels,
        https://optax.readthedocs.io/en/latest/api/losses.html
    """
    return _cross_entropy_from_classes(logits, _indices(classes))


@jax.custom_jvp
def _cross_entropy_from_classes(z: Array, classes: Array) -> Array:
    top = z.max(-1)
    weights = jnp.exp(z - top[..., None])
    return jnp.log(weights.sum(-1)) + (top - _chosen(z, classes))


@_cross_entropy_from_classes.defjvp
def _cross_entropy_from_classes_jvp(primals, tangents):
    (z, classes), (dz, _) = primals, tangents
    _, others, chosen = _weights(z, classes)
    # The same value from what the derivative needs, with the digits of a small one.
    value = jnp.log1p(others.sum(-1) + (jnp.exp(chosen) - 1)) - chosen
    return value, (_slope_from_classes(z, classes) * dz).sum(-1)


def mean_class(logits: Float[Array, "... K"]) -> Float[Array, "..."]:
    """The mean of a categorical variable's class, Σₖ k softmax(z)ₖ, between 0 and K − 1.

    It means something where classes are ordered, as levels of a pixel are: it is on their scale,
    0 to 255 if there are 256.

    Args:
        logits: z, of shape (..., K).

    Returns:
        The means, of shape (...).

    Example:
        >>> mean_class(jnp.zeros((1, 256))).tolist()
        [127.5]
    """
    p = jax.nn.softmax(logits)
    return (p * jax.lax.broadcasted_iota(p.dtype, p.shape, p.ndim - 1)).sum(-1)


def _draw(logits: Array, *, key: PRNGKeyArray) -> Array:
    return jax.random.categorical(key, logits)


def categorical(classes: int) -> Likelihood:
    """The likelihood of a target that is one of K classes, e.g. a pixel of 256 levels.

    A model predicts K logits for each number of the target. Targets are integers, 0 to K − 1, and
    so are draws. The link is `mean_class`: means are on the scale 0 to K − 1, not 0 to 1.

    Args:
        classes: K, two or more.

    Returns:
        A Likelihood whose error is `categorical_cross_entropy_from_classes`.

    Raises:
        ValueError: fewer than two classes.

    Example:
        >>> pixels = categorical(256)
        >>> pixels.sample(jnp.zeros((2, 784, 256)), key=jax.random.key(0)).shape
        (2, 784)

    References:
        van den Oord et al., Pixel recurrent neural networks, ICML 2016, section 3.3,
        https://arxiv.org/abs/1601.06759
    """
    check_whole("classes", classes, 2)
    return Likelihood(categorical_cross_entropy_from_classes, mean_class, classes, _draw)


cce = Loss(categorical_cross_entropy).documented(
    "cce",
    """Mean categorical cross-entropy from logits to probabilities, in nats per event: Σ e / (N·T).

    Predictions and targets have one more axis, the last, that holds the K classes; masks and
    weights cover the others. The sum is divided by the number of events, not of classes. Its
    gradient is (softmax(Z) − Y)/(N·T). Its minimum is the targets' mean entropy.

    Example:
        >>> import jax.numpy as jnp
        >>> print(cce(jnp.zeros((1, 4)), jnp.array([[0.0, 0.5, 0.5, 0.0]])).round(4))
        1.3863

    References:
        keras.losses.CategoricalCrossentropy, https://keras.io/api/losses/probabilistic_losses
        Bishop, Pattern recognition and machine learning, Springer, 2006, equation 4.108,
        https://www.microsoft.com/en-us/research/people/cmbishop/prml-book/
    """,
)

cce_from_classes = Loss(categorical_cross_entropy_from_classes).documented(
    "cce_from_classes",
    """Mean categorical cross-entropy from logits to known classes, in nats per event: Σ e / (N·T).

    Predictions have one more axis than targets, the last, that holds the logits of the K classes;
    targets are integers. For pixels of 256 levels it is in nats per pixel; divide by log 2 for bits
    per dimension. A class outside 0, …, K − 1 gives NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> print(cce_from_classes(jnp.zeros((1, 3, 256)), jnp.array([[0, 128, 255]])).round(4))
        5.5452

    References:
        keras.losses.SparseCategoricalCrossentropy, https://keras.io/api/losses/probabilistic_losses
        van den Oord et al., Pixel recurrent neural networks, ICML 2016, section 3.3,
        https://arxiv.org/abs/1601.06759
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (cce, cce_from_classes)}
