"""Overlap: how much of two sets, given as probabilities of belonging, they share."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._error import Event, takes
from jaxae.losses._loss import Loss


@takes(Event(None, None, zero_is_absent=True))
@dataclasses.dataclass(frozen=True)
class TverskyError:
    """1 − Tversky index of one whole sample; the Dice error where alpha and beta are ½.

    e = 1 − (TP + s)/(TP + αFP + βFN + s) = (αFP + βFN)/(TP + αFP + βFN + s)

    TP = Σ p y,  FP = Σ p(1 − y),  FN = Σ (1 − p)y

    The second form is a sum of non-negative parts, so no digits cancel. With s = 0, the default,
    the index is the textbook's; where both sets are empty e is 0, with zero gradient. It does not
    grow smooth there: a prediction of 1e-9 for an empty target is at distance 1, and a smoothing
    of 1 (many implementations) or 1e-5 (MONAI) is what changes that. Equal samples are at distance
    0 if they hold only 0 and 1, not between.

    The derivative is (tα(1 − y) − (tβ + e)y)/D, where D is the denominator and t = 1 − e.

    Args:
        alpha: α ≥ 0, the cost of a false positive.
        beta: β ≥ 0, the cost of a false negative; one of the two is not 0.
        smoothing: s ≥ 0, added to numerator and denominator of the index.

    Raises:
        ValueError: a hyperparameter that is negative, or costs that are both 0.

    Example:
        >>> p, y = jnp.array([1.0, 1.0, 0.0]), jnp.array([1.0, 0.0, 0.0])
        >>> round(float(TverskyError()(p, y)), 4), float(TverskyError(1.0, 0.0)(p, y))
        (0.3333, 0.5)

    References:
        Milletari, Navab & Ahmadi, V-Net: fully convolutional neural networks for volumetric medical
        image segmentation, 3DV 2016, section 3, https://arxiv.org/abs/1606.04797
        Salehi, Erdogmus & Gholipour, Tversky loss function for image segmentation using 3D fully
        convolutional deep networks, MLMI 2017, eq. 3, https://arxiv.org/abs/1706.05721
    """

    alpha: float = 0.5
    beta: float = 0.5
    smoothing: float = 0.0

    def __post_init__(self):
        for name in ("alpha", "beta", "smoothing"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more")
        if self.alpha == self.beta == 0:
            raise ValueError("alpha and beta are both 0, expected a cost of one kind of mistake")

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, ""]:
        return _error(self.alpha, self.beta, self.smoothing, prediction, target)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _error(alpha: float, beta: float, smoothing: float, p: Array, y: Array) -> Array:
    error, _, _ = _parts(alpha, beta, smoothing, p, y)
    return error


@_error.defjvp
def _error_jvp(alpha, beta, smoothing, primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    by_prediction = jnp.sum(_slope(alpha, beta, smoothing, p, y) * dp)
    by_target = jnp.sum(_slope(beta, alpha, smoothing, y, p) * dy)
    return _error(alpha, beta, smoothing, p, y), by_prediction + by_target


def _slope(alpha: float, beta: float, smoothing: float, p: Array, y: Array) -> Array:
    error, index, inverse = _parts(alpha, beta, smoothing, p, y)
    return ((index * alpha) * (1 - y) - (index * beta + error) * y) * inverse


def _parts(
    alpha: float, beta: float, smoothing: float, p: Array, y: Array
) -> tuple[Array, Array, Array]:
    """The error, the index and 1/(TP + αFP + βFN + s); all 0 where that is 1/0."""
    mistakes = alpha * jnp.sum(p * (1 - y)) + beta * jnp.sum((1 - p) * y)
    shared = jnp.sum(p * y) + smoothing
    whole = mistakes + shared
    # A subnormal divisor overflows.
    absent = abs(whole) < jnp.finfo(whole.dtype).tiny
    inverse = jnp.where(absent, 0, 1 / jnp.where(absent, 1, whole))
    return mistakes * inverse, shared * inverse, inverse


dice = Loss(TverskyError()).documented(
    "dice",
    """Dice error of each sample, averaged over samples: 1 − 2 Σ p y / (Σ p + Σ y), in [0, 1].

    Predictions are probabilities, targets are in [0, 1], and a sample is one pair of sets, whatever
    its shape. No smoothing; two empty sets are at distance 0.

    Example:
        >>> import jax.numpy as jnp
        >>> error = dice(jnp.array([[1.0, 1.0, 0.0]]), jnp.array([[1.0, 0.0, 0.0]]))
        >>> round(float(error), 4)
        0.3333

    References:
        Milletari, Navab & Ahmadi, V-Net: fully convolutional neural networks for volumetric medical
        image segmentation, 3DV 2016, section 3, https://arxiv.org/abs/1606.04797
    """,
)

tversky = Loss(TverskyError(alpha=0.3, beta=0.7)).documented(
    "tversky",
    """Tversky error with α = 0.3 and β = 0.7, averaged over samples: Σ (1 − TP/(TP + αFP + βFN))/N.

    A false negative costs more than a false positive: the paper's best. Predictions are
    probabilities, targets are in [0, 1]. No smoothing; two empty sets are at distance 0.

    Example:
        >>> import jax.numpy as jnp
        >>> error = tversky(jnp.array([[1.0, 1.0, 0.0]]), jnp.array([[1.0, 0.0, 0.0]]))
        >>> round(float(error), 4)
        0.2308

    References:
        Salehi, Erdogmus & Gholipour, Tversky loss function for image segmentation using 3D fully
        convolutional deep networks, MLMI 2017, eq. 3, https://arxiv.org/abs/1706.05721
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (dice, tversky)}
