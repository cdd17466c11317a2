"""The quantile error, whose minimum is a quantile of the target instead of its mean."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._hyperparameters import check_between, store_python_numbers
from jaxae.losses._loss import Loss


@dataclasses.dataclass(frozen=True)
class QuantileError:
    """Quantile error, also called pinball or check loss, elementwise.

    e = max(q(y − p), (q − 1)(y − p))

    It is in the target's unit. A target above the prediction costs q for each unit, one below costs
    1 − q, so that the best constant is the targets' q-quantile. At q = ½ it is half the absolute
    error. Its derivative is −q where p < y, 1 − q where p > y, and 0 where both are equal.

    Args:
        quantile: q, the quantile to predict, strictly between 0 and 1.

    Raises:
        ValueError: a quantile that is not between 0 and 1.

    Example:
        >>> import jax.numpy as jnp
        >>> QuantileError(quantile=0.75)(jnp.array([0.0, 4.0]), jnp.array([4.0, 0.0])).tolist()
        [3.0, 1.0]

    References:
        Koenker & Bassett, Regression quantiles, Econometrica 46(1), 1978,
        https://doi.org/10.2307/1913643

        sklearn.metrics.mean_pinball_loss,
        https://scikit-learn.org/stable/modules/generated/sklearn.metrics.mean_pinball_loss.html
    """

    quantile: float = 0.5

    def __post_init__(self):
        check_between("quantile", self.quantile, 0, 1)
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return _pinball(prediction - target, self.quantile)

    def derivative(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """−q below the target, 1 − q above it, 0 where both are equal."""
        return _slope(prediction - target, self.quantile)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _pinball(d: Array, q: float) -> Array:
    # XLA sums a choice of two faster than the larger of two, beside the derivative.
    return jnp.where(d < 0, -q * d, (1 - q) * d)


@_pinball.defjvp
def _pinball_jvp(q, primals, tangents):
    (d,), (tangent,) = primals, tangents
    return _pinball(d, q), _slope(d, q) * tangent


def _slope(d: Array, q: float) -> Array:
    return jnp.sign(d) * jnp.where(d < 0, q, 1 - q)


pinball = Loss(QuantileError()).documented(
    "pinball",
    """Mean quantile error over all numbers, of the median: Σ e / (N·C), half of `mae`.

    For another quantile write `Loss(QuantileError(quantile=…))`. Its gradient is
    ½ sign(A − Y)/(N·C). In the target's unit.

    Example:
        >>> import jax.numpy as jnp
        >>> float(pinball(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.zeros((2, 2))))
        1.25

    References:
        Koenker & Bassett, Regression quantiles, Econometrica 46(1), 1978,
        https://doi.org/10.2307/1913643
    """,
)

__test__ = {pinball.name: pinball.__doc__}
