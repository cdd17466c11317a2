"""Overlap: how much of two sets, given as probabilities of belonging, they share."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._error import Event, takes
from jaxae.losses._hyperparameters import check_not_negative, store_python_numbers
from jaxae.losses._loss import Loss
from jaxae.losses._scale import power_of_two


@takes(Event(None, None, zero_is_absent=True))
@dataclasses.dataclass(frozen=True)
class TverskyError:
    """1 − Tversky index of one whole sample, without unit; the Dice error where both costs are ½.

    e = 1 − (TP + s)/(TP + αFP + βFN + s) = (αFP + βFN)/(TP + αFP + βFN + s)

    TP = Σ p y,  FP = Σ p(1 − y),  FN = Σ (1 − p)y

    The second form is a sum of non-negative parts, so no digits cancel. With s = 0, the default,
    the index is the textbook's; where both sets are empty e is 0, with zero gradient. It does not
    grow smooth there: a prediction of 1e-9 for an empty target is at distance 1, and a smoothing
    of 1 (many implementations) or 1e-5 (MONAI) is what changes that. Equal samples are at distance
    0 if they hold only 0 and 1, not between. V-Net's Dice has the squares Σ p² + Σ y² where this
    one has Σ p + Σ y: the same for sets, another number for probabilities, and 0 for equal ones.

    The derivative is (tα(1 − y) − (tβ + e)y)/D, where D is the denominator and t = 1 − e. Numbers
    outside [0, 1] are no probabilities, but value and gradient are finite, and 0 where D is 0.

    Args:
        alpha: α ≥ 0, the cost of a false positive.
        beta: β ≥ 0, the cost of a false negative; one of the two is not 0.
        smoothing: s ≥ 0, added to numerator and denominator of the index.

    Raises:
        ValueError: a hyperparameter that is negative or infinite, or costs that are both 0.

    Example:
        >>> p, y = jnp.array([1.0, 1.0, 0.0]), jnp.array([1.0, 0.0, 0.0])
        >>> round(float(TverskyError()(p, y)), 4), float(TverskyError(1.0, 0.0)(p, y))
        (0.3333, 0.5)

    References:
        Salehi, Erdogmus & Gholipour, Tversky loss function for image segmentation using 3D fully
        convolutional deep networks, MLMI 2017, eq. 3, https://arxiv.org/abs/1706.05721
        Milletari, Navab & Ahmadi, V-Net: fully convolutional neural networks for volumetric medical
        image segmentation, 3DV 2016, section 3, https://arxiv.org/abs/1606.04797
    """

    alpha: float = 0.5
    beta: float = 0.5
    smoothing: float = 0.0

    def __post_init__(self):
        for name in ("alpha", "beta", "smoothing"):
            check_not_negative(name, getattr(self, name))
        if self.alpha == self.beta == 0:
            raise ValueError("alpha and beta are both 0, expected a cost of one kind of mistake")
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, ""]:
        return _error(self.alpha, self.beta, self.smoothing, prediction, target)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _error(alpha: float, beta: float, smoothing: float, p: Array, y: Array) -> Array:
    return _Overlap.of(alpha, beta, smoothing, p, y).error


@_error.defjvp
def _error_jvp(alpha, beta, smoothing, primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    by_prediction = jnp.sum(_slope(alpha, beta, smoothing, p, y) * dp)
    by_target = jnp.sum(_slope(beta, alpha, smoothing, y, p) * dy)
    return _error(alpha, beta, smoothing, p, y), by_prediction + by_target


def _slope(alpha: float, beta: float, smoothing: float, p: Array, y: Array) -> Array:
    """The derivative by p, of which FP is the part that the other does not have."""
    error, similarity, inverse, scale, p, y, one = _Overlap.of(alpha, beta, smoothing, p, y)
    slope = (similarity * alpha) * (one - y) - (similarity * beta + error) * y
    return slope * (inverse / scale)


class _Overlap(NamedTuple):
    """The error, 1 − error and 1/(TP + αFP + βFN + s), all 0 where that is 1/0.

    Of numbers beyond 1 the products overflow: p and y are over powers of 2, and so is the 1 that
    y is subtracted from. The divisor is over both, p over `scale`.
    """

    error: Array
    similarity: Array
    inverse: Array
    scale: Array
    p: Array
    y: Array
    one: Array

    @classmethod
    def of(cls, alpha: float, beta: float, smoothing: float, p: Array, y: Array) -> "_Overlap":
        scale, other = (power_of_two(jnp.max(abs(x), initial=1)) for x in (p, y))
        p, y = p / scale, y / other
        mistakes = alpha * jnp.sum(p * (1 / other - y)) + beta * jnp.sum((1 / scale - p) * y)
        shared = jnp.sum(p * y) + smoothing / scale / other
        whole = mistakes + shared
        # A subnormal divisor overflows.
        absent = abs(whole) < jnp.finfo(whole.dtype).tiny
        inverse = jnp.where(absent, 0, 1 / jnp.where(absent, 1, whole))
        return cls(mistakes * inverse, shared * inverse, inverse, scale, p, y, 1 / other)


dice = Loss(TverskyError()).documented(
    "dice",
    """Dice error of each sample, averaged over samples: 1 − 2 Σ p y / (Σ p + Σ y), in [0, 1].

    Without unit. Predictions are probabilities, targets are in [0, 1], and a sample is one pair of
    sets, whatever its shape. No smoothing; two empty sets are at distance 0. V-Net's Dice has
    Σ p² + Σ y² in the denominator: another number, unless both hold only 0 and 1.

    Example:
        >>> import jax.numpy as jnp
        >>> error = dice(jnp.array([[1.0, 1.0, 0.0]]), jnp.array([[1.0, 0.0, 0.0]]))
        >>> round(float(error), 4)
        0.3333

    References:
        Sudre, Li, Vercauteren, Ourselin & Cardoso, Generalised Dice overlap as a deep learning loss
        function for highly unbalanced segmentations, DLMIA 2017, section 2 (GDL, of one class of
        weight 1), https://arxiv.org/abs/1707.03237
        Milletari, Navab & Ahmadi, V-Net: fully convolutional neural networks for volumetric medical
        image segmentation, 3DV 2016, section 3 (squared), https://arxiv.org/abs/1606.04797
    """,
)

tversky = Loss(TverskyError(alpha=0.3, beta=0.7)).documented(
    "tversky",
    """Tversky error with α = 0.3 and β = 0.7, averaged over samples: Σ (1 − TP/(TP + αFP + βFN))/N.

    Without unit, in [0, 1]. A false negative costs more than a false positive: the paper's best.
    Predictions are probabilities, targets are in [0, 1]. No smoothing; two empty sets are at
    distance 0.

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
