"""Errors that compare a prediction with the size of its target: logarithms and percentages."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._elementary import absolute, log1p, saturated
from jaxae.losses._error import Event, closed_form, takes
from jaxae.losses._fusion import apart
from jaxae.losses._hyperparameters import check_from_to, store_python_numbers
from jaxae.losses._loss import Loss


def _log_slope(prediction: Array, target: Array) -> Array:
    return 2 * _log_ratio(prediction, target) * _log_rate(prediction)


@takes(Event(masking="inputs"))
@closed_form(_log_slope)
def squared_log_error(
    prediction: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Squared logarithmic error, elementwise, of numbers that are not negative.

    e = (log(1 + p) − log(1 + y))² = log(1 + |p − y|/(1 + min(p, y)))²

    Negative numbers count as 0, as in Keras; where the prediction is negative the derivative is 0,
    elsewhere it is 2(log(1 + p) − log(1 + y))/(1 + p). The second form keeps its digits where both
    are nearly equal.

    Args:
        prediction: p ≥ 0, of any shape.
        target: y ≥ 0, of the same shape.

    Returns:
        The errors, of the same shape; they have no unit.

    Example:
        >>> import jax.numpy as jnp
        >>> p, y = jnp.array([jnp.e - 1, -5.0, 7.0]), jnp.array([0.0, -1.0, 7.0])
        >>> print(squared_log_error(p, y).round(4))
        [1. 0. 0.]

    References:
        keras.losses.MeanSquaredLogarithmicError, https://keras.io/api/losses/regression_losses/
    """
    return _squared_log(prediction, target)


@jax.custom_jvp
def _squared_log(p: Array, y: Array) -> Array:
    size = jnp.log1p(_share(p, y))
    return size * size


@_squared_log.defjvp
def _squared_log_jvp(primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    ratio = _log_ratio(p, y)
    return ratio * ratio, 2 * ratio * (_log_rate(p) * dp - _log_rate(y) * dy)


@jax.custom_jvp
def _log_ratio(p: Array, y: Array) -> Array:
    """Log(1 + p) − log(1 + y), where negative numbers count as 0."""
    size = log1p(_share(p, y))
    return jnp.where(p < y, -size, size)


@_log_ratio.defjvp
def _log_ratio_jvp(primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    return _log_ratio(p, y), _log_rate(p) * dp - _log_rate(y) * dy


def _log_rate(p: Array) -> Array:
    """The derivative of log(1 + p)."""
    return jnp.where(p < 0, 0, 1 / (1 + abs(p)))


def _share(p: Array, y: Array) -> Array:
    """By how much, as a share of it, the larger of 1 + p and 1 + y exceeds the other."""
    p, y = jnp.maximum(p, 0), jnp.maximum(y, 0)
    return abs(p - y) / (1 + jnp.minimum(p, y))


@dataclasses.dataclass(frozen=True)
class AbsolutePercentageError:
    """Absolute error in percent of the target, elementwise.

    e = 100 |y − p| / max(|y|, ε)

    In percent, as in Keras; scikit-learn's is a fraction. A target of 0 counts as ε, so that a
    small error there is a huge percentage: 1e9 for each unit with Keras's ε. Its derivative is
    100 sign(p − y)/max(|y|, ε), and 0 where both are equal.

    Args:
        epsilon: ε > 0, the smallest size of a target, in the target's unit.

    Raises:
        ValueError: an epsilon that is not between 1e-30 and 1e30.

    Example:
        >>> import jax.numpy as jnp
        >>> error = AbsolutePercentageError(epsilon=0.1)
        >>> error(jnp.array([3.0, 1.0, 2.0]), jnp.array([4.0, -2.0, 2.0])).tolist()
        [25.0, 150.0, 0.0]

    References:
        keras.losses.MeanAbsolutePercentageError, https://keras.io/api/losses/regression_losses/
    """

    epsilon: float = 1e-7

    def __post_init__(self):
        # Below it, 100/ε overflows float32.
        check_from_to("epsilon", self.epsilon, 1e-30, 1e30)
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return _percentage(self.epsilon, prediction, target)

    def derivative(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """100 sign(p − y)/max(|y|, ε)."""
        return _percentage_slope(self.epsilon, prediction, target)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _percentage(epsilon: float, p: Array, y: Array) -> Array:
    return 100 * absolute((p - y) / jnp.maximum(abs(y), epsilon))


def _percentage_slope(epsilon: float, p: Array, y: Array) -> Array:
    # By −100 and −ε: of numbers that the error has as well, XLA on CPU would keep whole arrays.
    return -100 * jnp.sign(p - y) / jnp.minimum(-abs(y), -epsilon)


@_percentage.defjvp
def _percentage_jvp(epsilon, primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    error, slope = _percentage(epsilon, p, y), _percentage_slope(epsilon, apart(p), apart(y))
    # A target that counts as its size changes that as well.
    by_size = jnp.where(abs(y) > epsilon, error / jnp.where(abs(y) > epsilon, y, 1), 0)
    return error, slope * dp - saturated(slope + by_size) * dy


msle = Loss(squared_log_error).documented(
    "msle",
    """Mean squared logarithmic error over all numbers: Σ (log(1 + A) − log(1 + Y))² / (N·C).

    Negative numbers count as 0, with zero gradient. It has no unit, but 1 is one of the target's.

    Example:
        >>> import jax.numpy as jnp
        >>> print(msle(jnp.array([[jnp.e - 1, -5.0]]), jnp.zeros((1, 2))).round(4))
        0.5

    References:
        keras.losses.MeanSquaredLogarithmicError, https://keras.io/api/losses/regression_losses/
    """,
)

mape = Loss(AbsolutePercentageError()).documented(
    "mape",
    """Mean absolute error in percent of the targets: 100 Σ |A − Y| / max(|Y|, 1e-7) / (N·C).

    In percent, 100 for an error of the size of its target. Targets must not be near 0. For another
    smallest size write `Loss(AbsolutePercentageError(epsilon=…))`.

    Example:
        >>> import jax.numpy as jnp
        >>> float(mape(jnp.array([[3.0, 1.0]]), jnp.array([[4.0, -2.0]])))
        87.5

    References:
        Hyndman & Koehler, Another look at measures of forecast accuracy, International Journal of
        Forecasting 22(4), 2006, https://doi.org/10.1016/j.ijforecast.2006.03.001
        keras.losses.MeanAbsolutePercentageError, https://keras.io/api/losses/regression_losses/
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (msle, mape)}
