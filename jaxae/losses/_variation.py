"""Differences between neighbours: their total variation, and how those of two samples differ."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._elementary import absolute
from jaxae.losses._error import SAMPLE, takes
from jaxae.losses._hyperparameters import as_tuple, check_whole, store_python_numbers
from jaxae.losses._loss import Loss


@takes(SAMPLE)
@dataclasses.dataclass(frozen=True)
class TotalVariation:
    """Total variation of one sample, a penalty that takes no target.

    e = Σ_axes Σ |x_{i+1} − x_i|

    In the sample's unit. Anisotropic, as tf.image.total_variation: the axes' differences are added,
    not squared and rooted together as in Rudin, Osher & Fatemi. The sum is divided by nothing,
    channels are added. Its derivative is the sum of the signs of both differences, and 0 between
    equal neighbours.

    Args:
        axes: the axes of the sample along which neighbours are compared: (0, 1) for images (H, W)
            or (H, W, C), (0,) for series (T,) or (T, C).

    Raises:
        ValueError: no axes, or one that is negative or given twice; when called, a sample that does
            not have them.

    Example:
        >>> float(TotalVariation()(jnp.array([[0.0, 1.0], [0.0, 3.0]])))
        6.0
        >>> float(TotalVariation(axes=(0,))(jnp.array([0.0, 1.0, 0.5])))
        1.5

    References:
        Rudin, Osher & Fatemi, Nonlinear total variation based noise removal algorithms, Physica D
        60, 1992, eq. 2.4, https://doi.org/10.1016/0167-2789(92)90242-F
        tf.image.total_variation, https://www.tensorflow.org/api_docs/python/tf/image/total_variation
    """

    axes: tuple[int, ...] = (0, 1)

    def __post_init__(self):
        object.__setattr__(self, "axes", _checked(self.axes))

    def __call__(self, prediction: Float[Array, "..."]) -> Float[Array, ""]:
        return _total([absolute(step) for step in _steps(prediction, self.axes)])


@takes(SAMPLE)
@dataclasses.dataclass(frozen=True)
class GradientDifference:
    """How the sizes of the differences between neighbours differ: the gradient difference loss.

    e = Σ_axes Σ | |y_{i+1} − y_i| − |p_{i+1} − p_i| |^power

    In the target's unit to the power α. It asks for edges as sharp as the target's, and for nothing
    else: an offset costs nothing, nor does a sample upside down, so it is added to another loss.
    The sum is divided by nothing. Its derivative is 0 at every kink.

    Args:
        power: α, a whole number, 1 or more.
        axes: the axes of the sample along which neighbours are compared: (0, 1) for images (H, W)
            or (H, W, C), (0,) for series (T,) or (T, C).

    Raises:
        ValueError: a power that is not whole or below 1, no axes, or one that is negative or given
            twice; when called, a sample that does not have them.

    Example:
        >>> p, y = jnp.array([[0.0, 1.0], [0.0, 3.0]]), jnp.array([[0.0, 1.0], [0.0, 1.0]])
        >>> float(GradientDifference()(p, y)), float(GradientDifference(power=2)(p, y))
        (4.0, 8.0)

    References:
        Mathieu, Couprie & LeCun, Deep multi-scale video prediction beyond mean square error, ICLR
        2016, eq. 6, https://arxiv.org/abs/1511.05440
    """

    power: int = 1
    axes: tuple[int, ...] = (0, 1)

    def __post_init__(self):
        check_whole("power", self.power, 1)
        object.__setattr__(self, "axes", _checked(self.axes))
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, ""]:
        pairs = zip(_steps(prediction, self.axes), _steps(target, self.axes), strict=True)
        sizes = [absolute(absolute(p) - absolute(y)) for p, y in pairs]
        return _total([_raised(size, self.power) for size in sizes])


def _checked(axes: Sequence[int]) -> tuple[int, ...]:
    axes = as_tuple("axes", axes)
    for axis in axes:
        check_whole("an axis", axis, 0)
    if len(set(axes)) < len(axes):
        raise ValueError(f"axes are {axes}, expected each axis of a sample once, e.g. (0, 1)")
    return axes


def _steps(sample: Array, axes: tuple[int, ...]) -> list[Array]:
    """The differences between neighbours along each axis."""
    if sample.ndim <= max(axes):
        raise ValueError(
            f"a sample has shape {sample.shape}, expected {max(axes) + 1} axes or more for "
            f"axes={axes}; pass axes=(0,) for a series, or reshape, e.g. (784,) to (28, 28)"
        )
    return [jnp.diff(sample, axis=axis) for axis in axes]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _raised(size: Array, power: int) -> Array:
    return size**power


@_raised.defjvp
def _raised_jvp(power, primals, tangents):
    (size,), (tangent,) = primals, tangents
    if power == 1:
        return size, tangent
    # Slopes of all neighbours of a number are added, and so stay finite.
    largest = jnp.finfo(size.dtype).max / 16
    return _raised(size, power), jnp.minimum(power * _raised(size, power - 1), largest) * tangent


def _total(parts: list[Array]) -> Array:
    return functools.reduce(jnp.add, [jnp.sum(part) for part in parts])


total_variation = Loss(TotalVariation(), unit="sample").documented(
    "total_variation",
    """Total variation of each image, averaged over samples: Σ Σ |x_{i+1} − x_i| / N.

    In the predictions' unit. A penalty on predictions (H, W) or (H, W, C); it takes no target. It
    is summed over pixels and channels: for series `Loss(TotalVariation(axes=(0,)), unit="sample")`.

    Example:
        >>> import jax.numpy as jnp
        >>> float(total_variation(jnp.array([[[0.0, 1.0], [0.0, 3.0]], [[2.0, 2.0], [2.0, 2.0]]])))
        3.0

    References:
        tf.image.total_variation, https://www.tensorflow.org/api_docs/python/tf/image/total_variation
    """,
)

gradient_difference = Loss(GradientDifference(), unit="sample").documented(
    "gradient_difference",
    """Gradient difference of each image, averaged over samples: Σ Σ ||Δy| − |Δp|| / N.

    In the target's unit, summed over pixels and channels. It does not see an offset, so it is added
    to another loss: it is 0 for equal samples, and not only for them.

    Example:
        >>> import jax.numpy as jnp
        >>> A, zeros = jnp.array([[[0.0, 1.0], [0.0, 3.0]]]), jnp.zeros((1, 2, 2))
        >>> float(gradient_difference(A, zeros)), float(gradient_difference(A, A + 1))
        (6.0, 0.0)

    References:
        Mathieu, Couprie & LeCun, Deep multi-scale video prediction beyond mean square error, ICLR
        2016, eq. 6, https://arxiv.org/abs/1511.05440
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (total_variation, gradient_difference)}
