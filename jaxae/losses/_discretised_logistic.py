"""The discretised logistic distribution: the likelihood of pixels of 8 bits."""

import dataclasses
import functools
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import finite_exp, saturated, softplus
from jaxae.losses._error import Event
from jaxae.losses._fusion import fenced, unshared
from jaxae.losses._hyperparameters import check_whole, store_python_numbers
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss


@dataclasses.dataclass(frozen=True)
class DiscretisedLogisticError:
    """Negative log-probability of a level of a logistic distribution, elementwise, in nats.

    e = −log [σ((y + ½δ − μ)/s) − σ((y − ½δ − μ)/s)], δ = 1/(levels − 1)

    What lies below the lowest level counts to it, and what lies above the highest to that, so the
    probabilities of all levels sum to 1. It is the probability of a number of so many levels, not
    a density: nats per pixel, and bits per pixel divided by log 2. It is computed without an
    epsilon, as −log σ(a) − log σ(−b) − log(1 − exp(b − a)), a sum of non-negative parts, where
    PixelCNN++ takes the density at the level's centre for probabilities below 1e-5.

    The prediction is μ and log s on the last axis, shape (..., 2); the target has shape (...), with
    numbers k/(levels − 1) from 0 to 1. A target between two levels counts as the nearer one.

    Args:
        levels: how many numbers a target may take, 256 for 8 bits.

    Raises:
        ValueError: fewer than 2 levels, or a number of them that is not whole.

    Example:
        >>> error = DiscretisedLogisticError()
        >>> prediction = jnp.array([[0.5, -3.0], [0.5, -30.0]])
        >>> error(prediction, jnp.array([0.0, 128 / 255])).round(4)
        Array([10.0034,  0.6931], dtype=float32)

    References:
        Kingma, Salimans, Jozefowicz, Chen, Sutskever & Welling, Improved variational inference with
        inverse autoregressive flow, NeurIPS 2016, appendix, https://arxiv.org/abs/1606.04934
        Salimans, Karpathy, Chen & Kingma, PixelCNN++, ICLR 2017, equation 2,
        https://arxiv.org/abs/1701.05517
    """

    levels: int = 256
    event: ClassVar[Event] = Event(prediction=1, target=0, parameters=2, masking="slopes")

    def __post_init__(self):
        check_whole("levels", self.levels, 2)
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "... 2"], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return unshared(functools.partial(_error, self.levels))(prediction, target)

    def derivative(
        self, prediction: Float[Array, "... 2"], target: Float[Array, "..."]
    ) -> Float[Array, "... 2"]:
        """The closed form of the derivatives by μ and log s, on the last axis."""
        return _slopes(self.levels, prediction, target)

    @property
    def link(self) -> "_Mean":
        """What maps a prediction to the mean of the levels, Σₖ P(Y ≥ k/(levels − 1))/(levels − 1).

        It is exact: so many sigmoids for each number, which a compiled sum holds one at a time.
        """
        return _Mean(self.levels)

    def draw(self, prediction: Float[Array, "... 2"], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """Levels drawn for each pair of a prediction: logistic noise, clipped and rounded."""
        highest, mean = self.levels - 1, prediction[..., 0]
        noise = jax.random.logistic(key, mean.shape, mean.dtype) * finite_exp(prediction[..., 1])
        level = jnp.round(jnp.clip((mean + noise) * highest, 0, highest))
        # From a table: XLA multiplies by 1/255, which is not the number nearest to k/255.
        numbers = jnp.asarray([k / highest for k in range(self.levels)], mean.dtype)
        return numbers[level.astype(jnp.int32)]


@dataclasses.dataclass(frozen=True)
class _Mean:
    """The mean of the levels that a prediction stands for."""

    levels: int

    def __call__(self, prediction: Float[Array, "... 2"]) -> Float[Array, "..."]:
        return _mean(self.levels, prediction)


@functools.partial(jax.jit, static_argnums=0)
def _mean(levels: int, prediction: Array) -> Array:
    mean, root = (levels - 1) * prediction[..., 0], _root(levels, prediction)
    edges = jnp.arange(1, levels, dtype=mean.dtype).reshape(mean.ndim * (1,) + (-1,)) - 0.5
    exceeds = jax.nn.sigmoid((mean[..., None] - edges) * root[..., None] * root[..., None])
    return exceeds.sum(-1) / (levels - 1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _error(levels: int, prediction: Array, target: Array) -> Array:
    bin_ = _Bin.of(levels, prediction, target)
    narrow, width = bin_.width < 1, _floored(bin_.width)
    # −log(1 − exp(−w)), with the logarithm of w itself where w may underflow.
    share = -jnp.expm1(-width) / jnp.where(narrow, width, 1)
    log_scale = prediction[..., 1] + math.log(levels - 1)
    inside = softplus(bin_.near) + jnp.where(narrow, log_scale, 0) - jnp.log(share)
    return fenced(softplus(-bin_.far) + jnp.where(bin_.end == 0, inside, 0))


def _slopes(levels: int, prediction: Array, target: Array) -> Array:
    bin_ = _Bin.of(levels, prediction, target)
    sigmoid, centre = jax.nn.sigmoid, bin_.centre
    far, near, width = saturated(bin_.far), saturated(bin_.near), saturated(_floored(bin_.width))
    # σ(−a) − σ(b) as a product, so that no digits cancel where the scale is large.
    even = (1 + jnp.exp(-2 * centre * jnp.sign(centre))) * sigmoid(far) * sigmoid(near)
    slope = jnp.where(bin_.end == 0, -jnp.tanh(centre) * even, bin_.end * sigmoid(-far))
    by_mean = saturated(slope * bin_.root * bin_.root * (levels - 1))
    spread = width * jnp.exp(-width) / -jnp.expm1(-width) - near * sigmoid(near)
    by_scale = far * sigmoid(-far) + jnp.where(bin_.end == 0, spread, 0)
    return jnp.stack([by_mean, by_scale], -1)


@_error.defjvp
def _error_jvp(levels, primals, tangents):
    by_prediction = (_slopes(levels, *primals) * tangents[0]).sum(-1)
    return _error(levels, *primals), by_prediction


class _Bin(NamedTuple):
    """The interval of a level, in scales from the mean; lengths are in levels before."""

    centre: Array
    near: Array  # the end nearer to the mean, negative if the mean is inside
    far: Array  # the other; of the lowest and the highest level, the only end that is finite
    width: Array
    end: Array  # 1 for the lowest level, −1 for the highest, else 0
    root: Array

    @classmethod
    def of(cls, levels: int, prediction: Array, target: Array) -> "_Bin":
        highest, root = levels - 1, _root(levels, prediction)
        level = jnp.round(jnp.clip(target * highest, 0, highest))
        distance = level - highest * prediction[..., 0]
        lowest = (level == 0).astype(root.dtype)
        end = lowest - (level == highest).astype(root.dtype)
        outward = distance * jnp.where(end == 0, jnp.sign(distance), end)
        lengths = distance, outward - 0.5, outward + 0.5
        centre, near, far = (length * root * root for length in lengths)
        return cls(centre, near, far, root * root, end, root)


def _root(levels: int, prediction: Array) -> Array:
    """(levels − 1)s to the power −½: finite, and its square overflows only where 1/s does."""
    return finite_exp(-0.5 * prediction[..., 1]) / math.sqrt(levels - 1)


def _floored(width: Array) -> Array:
    """A width by which can be divided; no wider, and (1 − exp(−w))/w is 1 to rounding."""
    return jnp.maximum(width, jnp.finfo(width.dtype).eps)


discretised_logistic = Likelihood(
    DiscretisedLogisticError(), DiscretisedLogisticError().link, parameters_per_element=2
)

discretised_logistic_nll = Loss(DiscretisedLogisticError(), unit="sample").documented(
    "discretised_logistic_nll",
    """Negative log-probability of 8-bit numbers, discretised logistic, in nats per sample: Σ e / N.

    The predictions are the mean and the log scale on a last axis of 2; the targets are k/255.
    Divided by C log 2 it is bits per dimension. `Loss(DiscretisedLogisticError(32), unit="sample")`
    is that of 5 bits.

    Example:
        >>> import jax.numpy as jnp
        >>> predictions = jnp.array([[[0.5, -3.0], [0.5, -30.0]]])
        >>> print(discretised_logistic_nll(predictions, jnp.array([[0.0, 128 / 255]])).round(4))
        10.6966

    References:
        Salimans, Karpathy, Chen & Kingma, PixelCNN++, ICLR 2017, equation 2,
        https://arxiv.org/abs/1701.05517
    """,
)

__test__ = {discretised_logistic_nll.name: discretised_logistic_nll.__doc__}
