"""Errors between real numbers that grow like the absolute error, so that outliers weigh less."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._elementary import cosh_remainder
from jaxae.losses._error import Event, closed_form, takes
from jaxae.losses._fusion import apart
from jaxae.losses._hyperparameters import check_from_to, store_python_numbers
from jaxae.losses._loss import Loss


@dataclasses.dataclass(frozen=True)
class HuberError:
    """Huber's error, elementwise: squared near zero, absolute far from it.

    e = ½d² where |d| ≤ δ, else δ(|d| − ½δ), with d = prediction − target

    It is in the square of the target's unit. Its derivative is d clipped to [−δ, δ]. As δ grows it
    is half the squared error; divided by δ it is torch's smooth L1.

    Args:
        delta: δ > 0, where it turns from one to the other, in the target's unit.

    Raises:
        ValueError: a delta that is not between 1e-30 and 1e30.

    Example:
        >>> import jax.numpy as jnp
        >>> HuberError(delta=2.0)(jnp.array([0.0, 1.0, 5.0]), jnp.zeros(3)).tolist()
        [0.0, 0.5, 8.0]

    References:
        Huber, Robust estimation of a location parameter, The Annals of Mathematical Statistics
        35(1), 1964, https://doi.org/10.1214/aoms/1177703732
    """

    delta: float = 1.0

    def __post_init__(self):
        check_from_to("delta", self.delta, 1e-30, 1e30)  # in float32, with room
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return _huber(self.delta, prediction, target)

    def derivative(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """The difference, clipped to [−δ, δ]."""
        return _clip(prediction - target, self.delta)


def _clip(x: Array, bound: float) -> Array:
    # By −δ twice: of the δ that the error has as well, XLA on CPU would keep a whole array.
    return -jnp.maximum(-jnp.maximum(x, -bound), -bound)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _huber(delta: float, prediction: Array, target: Array) -> Array:
    # Nothing that XLA on CPU could not add up as it goes, as it could not a choice of two.
    size = abs(prediction - target)
    squared = jnp.minimum(size, delta)
    return squared * (size - squared / 2)


@_huber.defjvp
def _huber_jvp(delta, primals, tangents):
    (prediction, target), (dprediction, dtarget) = primals, tangents
    slope = _clip(apart(prediction) - apart(target), delta)
    return _huber(delta, prediction, target), slope * (dprediction - dtarget)


@takes(Event(masking="inputs"))
@closed_form(lambda prediction, target: jnp.tanh(prediction - target))
def log_cosh_error(
    prediction: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Logarithm of the hyperbolic cosine, elementwise: squared near zero, absolute far from it.

    e = log cosh d = |d| − log 2 + log(1 + exp(−2|d|)), with d = prediction − target

    It is nearly ½d² for small d and |d| − log 2 for large. Below |d| = 1, where the digits of this
    sum cancel, it is computed as log(1 + d²/2! + d⁴/4! + …). Its derivative is tanh d.

    Args:
        prediction: of any shape.
        target: of the same shape.

    Returns:
        The errors, of the same shape, without a unit: in another unit of the target they are
        another loss, not a multiple of this one.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(log_cosh_error(jnp.array(1.0), jnp.array(0.0))), 4)
        0.4338

    References:
        Green, Bayesian reconstructions from emission tomography data using a modified EM algorithm,
        IEEE Transactions on Medical Imaging 9(1), 1990, https://doi.org/10.1109/42.52985
    """
    return _log_cosh(prediction - target)


@jax.custom_jvp
def _log_cosh(d: Array) -> Array:
    near, beyond = jnp.minimum(abs(d), 1), jnp.maximum(abs(d) - 1, 0)
    # One logarithm for both sides of 1: cosh(1 + b)/exp b = cosh 1 − (1 − exp(−2b))/(2e).
    lost = (1 - jnp.exp(-2 * beyond)) / (2 * math.e)
    return beyond + jnp.log1p(cosh_remainder(near) - lost)


@_log_cosh.defjvp
def _log_cosh_jvp(primals, tangents):
    (d,), (tangent,) = primals, tangents
    return _log_cosh(d), jnp.tanh(d) * tangent


@dataclasses.dataclass(frozen=True)
class CharbonnierError:
    """Charbonnier's error, elementwise: an absolute error that is smooth at zero.

    e = √(d² + ε²), with d = prediction − target

    It is in the target's unit. Its smallest value is ε, not 0: nothing is subtracted. Its
    derivative is d/√(d² + ε²). Where |d| > 1e9 ε, they are |d| and sign(d), the same in any
    precision, so that d² cannot overflow.

    Args:
        epsilon: ε > 0, the width of the smooth part, in the target's unit.

    Raises:
        ValueError: an epsilon that is not between 1e-15 and 1e9.

    Example:
        >>> import jax.numpy as jnp
        >>> CharbonnierError(epsilon=3.0)(jnp.array([0.0, 4.0, -1e30]), jnp.zeros(3)).tolist()[:2]
        [3.0, 5.0]

    References:
        Charbonnier, Blanc-Féraud, Aubert & Barlaud, Two deterministic half-quadratic regularization
        algorithms for computed imaging, ICIP 1994, https://doi.org/10.1109/ICIP.1994.413553

        Lai, Huang, Ahuja & Yang, Deep Laplacian pyramid networks for fast and accurate
        super-resolution, CVPR 2017, where ε = 1e-3, https://arxiv.org/abs/1704.03915

        Barron, A general and adaptive robust loss function, CVPR 2019, α = 1 (there divided by the
        scale, minus 1), https://arxiv.org/abs/1701.03077
    """

    epsilon: float = 1e-3

    def __post_init__(self):
        # Squares of ε and of 1e9 ε are float32 numbers.
        check_from_to("epsilon", self.epsilon, 1e-15, 1e9)
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return _charbonnier(prediction - target, self.epsilon)

    def derivative(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """The difference over the error, d/√(d² + ε²)."""
        return _charbonnier_slope(prediction - target, self.epsilon)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _charbonnier(d: Array, epsilon: float) -> Array:
    return jnp.where(_near(d, epsilon), _hypotenuse(d, epsilon), abs(d))


@_charbonnier.defjvp
def _charbonnier_jvp(epsilon, primals, tangents):
    (d,), (tangent,) = primals, tangents
    return _charbonnier(d, epsilon), _charbonnier_slope(d, epsilon) * tangent


def _charbonnier_slope(d: Array, epsilon: float) -> Array:
    return jnp.where(_near(d, epsilon), d / _hypotenuse(d, epsilon), jnp.sign(d))


def _hypotenuse(d: Array, epsilon: float) -> Array:
    return jnp.sqrt(d * d + epsilon * epsilon)


def _near(d: Array, epsilon: float) -> Array:
    return abs(d) < 1e9 * epsilon


huber = Loss(HuberError()).documented(
    "huber",
    """Mean Huber error over all numbers, δ = 1: Σ e / (N·C).

    It is torch's and Keras's; for another δ write `Loss(HuberError(delta=…))`. Its gradient is
    A − Y, clipped to [−1, 1], over N·C. In the square of the target's unit.

    Example:
        >>> import jax.numpy as jnp
        >>> float(huber(jnp.array([[1.0, 3.0]]), jnp.zeros((1, 2))))
        1.5

    References:
        Huber, Robust estimation of a location parameter, The Annals of Mathematical Statistics
        35(1), 1964, https://doi.org/10.1214/aoms/1177703732
        torch.nn.HuberLoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html
    """,
)

log_cosh = Loss(log_cosh_error).documented(
    "log_cosh",
    """Mean logarithm of the hyperbolic cosine over all numbers: Σ log cosh(A − Y) / (N·C).

    Its gradient is tanh(A − Y)/(N·C). It has no unit: scale the data so that what is to count as
    far is more than 1.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(log_cosh(jnp.array([[1.0, 3.0]]), jnp.zeros((1, 2)))), 4)
        1.3716

    References:
        keras.losses.LogCosh, https://keras.io/api/losses/regression_losses/
    """,
)

charbonnier = Loss(CharbonnierError()).documented(
    "charbonnier",
    """Mean Charbonnier error over all numbers, ε = 0.001: Σ √((A − Y)² + ε²) / (N·C).

    Its minimum is ε. For another ε write `Loss(CharbonnierError(epsilon=…))`. Its gradient is
    (A − Y)/√((A − Y)² + ε²)/(N·C). In the target's unit.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(charbonnier(jnp.array([[1.0, 0.0]]), jnp.zeros((1, 2)))), 4)
        0.5005

    References:
        Lai, Huang, Ahuja & Yang, Deep Laplacian pyramid networks for fast and accurate
        super-resolution, CVPR 2017, https://arxiv.org/abs/1704.03915
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (huber, log_cosh, charbonnier)}
