"""Checks of gradients: the closed form, `jax.grad` and central differences, side by side."""

import dataclasses
import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._arguments import Arguments
from jaxae.losses._base import BaseLoss
from jaxae.losses._error import parameters_of
from jaxae.losses._gradient import analytic_gradient, has_closed_form
from jaxae.losses._hyperparameters import check_choice, check_whole

# The truncation, h²/6 of the third derivative, is then far below float32's resolution, and so is
# the rounding, 1e-16/h of the loss, in a mean over some ten thousand numbers.
STEP = 1e-4


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far two gradients are apart at most.

    Args:
        absolute: the largest difference.
        ulp: the largest difference in units in the last place: spacings of the argument's dtype at
            the larger of both numbers.
    """

    absolute: float
    ulp: float

    @classmethod
    def between(cls, a: ArrayLike, b: ArrayLike, dtype: np.dtype) -> "Difference":
        """The difference between two gradients, in spacings of `dtype`."""
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        apart = abs(a - b)
        return cls(
            float(apart.max(initial=0)), float((apart / _spacing(a, b, dtype)).max(initial=0))
        )


@dataclasses.dataclass(frozen=True)
class GradientReport:
    """What `check_gradient` found; printed, a small table.

    Args:
        name: of the loss, or what it prints as, and the argument, where that is not the first.
        shape: of the argument.
        dtype: of the argument.
        closed_form: the closed form against `jax.grad`; None where no closed form is known.
        central_differences: `jax.grad` against central differences in float64.
        points: at how many numbers central differences were taken.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    closed_form: Difference | None
    central_differences: Difference
    points: int

    def __str__(self) -> str:
        rows = {"central differences": self.central_differences}
        if self.closed_form is not None:
            rows = {"closed form": self.closed_form, **rows}
        lines = [f"{name:<20} {d.absolute:>12.2e} {d.ulp:>12.2f}" for name, d in rows.items()]
        shape = "×".join(str(n) for n in self.shape)
        head = f"jax.grad of {self.name}, {shape} {self.dtype}"
        columns = f"{'differs from':<20} {'at most':>12} {'ULP':>12}"
        points = f"central differences in float64 at {self.points} of the numbers"
        return "\n".join([head, columns, *lines, points])


def check_gradient(
    loss: BaseLoss,
    *arrays: ArrayLike,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    argument: int = 0,
    points: int = 1000,
) -> GradientReport:
    """Compare `jax.grad` of a loss with its closed form and with central differences.

    Central differences are (f(x + h) − f(x − h)) / 2h in float64, with h = 1e-4 (1e-9 |x| where
    that is larger). They are off by about 1e-12 of the loss, and meaningless within h of a kink.

    Args:
        loss: any loss; without a closed form, only central differences are compared.
        *arrays: what the loss takes, e.g. predictions and targets, each of shape (N, ...).
        where: bool, over a prefix of the targets' axes.
        weights: non-negative, over a prefix of the targets' axes.
        argument: by which of the arrays: 0, the first, by the predictions; 1 by the targets. Closed
            forms are known by the first one only.
        points: at how many numbers of that array, evenly spaced, central differences are taken:
            each costs two evaluations of the loss.

    Returns:
        A GradientReport: the largest differences, absolute and in units in the last place.

    Raises:
        TypeError: something else than a loss, such as an error or a plain function, or an argument
            that is not floating.
        ValueError: an argument that the loss does not take, nothing to compare gradients at, or no
            points.
        TypeError, ValueError: what the loss raises.

    Example:
        >>> from jaxae.losses import mse
        >>> A, Y = jax.random.normal(jax.random.key(0), (2, 10, 9))
        >>> report = check_gradient(mse, A, Y)
        >>> print(report)
        jax.grad of mse, 10×9 float32
        differs from              at most          ULP
        closed form              0.00e+00         0.00
        central differences      ...
        central differences in float64 at 90 of the numbers
        >>> report.closed_form.ulp <= 4
        True
    """
    if not isinstance(loss, BaseLoss):
        raise TypeError(f"got {loss!r}, expected a loss; of a plain error make one: Loss(error)")
    check_whole("points", points, 1)
    arguments = loss.checked(arrays, where, weights)
    moved = _moved(loss, arguments, argument)
    gradient = _gradient(loss, argument, arguments)
    closed = None
    if argument == 0 and has_closed_form(loss):
        written = analytic_gradient(cast(Any, loss))(
            *arguments.arrays, where=where, weights=weights
        )
        closed = Difference.between(written, gradient, moved.dtype)
    index = np.unique(np.linspace(0, moved.size - 1, min(points, moved.size)).astype(int))
    with jax.enable_x64(True):
        numeric = np.asarray(_central_differences(loss, argument, arguments, jnp.asarray(index)))
    return GradientReport(
        _name(loss, argument),
        moved.shape,
        str(moved.dtype),
        closed,
        Difference.between(np.asarray(gradient).ravel()[index], numeric, moved.dtype),
        len(index),
    )


def _name(loss: BaseLoss, argument: int) -> str:
    by = f" by {parameters_of(loss.error)[argument]}" if argument else ""
    return (loss.name or repr(loss)) + by


def _moved(loss: BaseLoss, arguments: Arguments, argument: Any) -> Array:
    """The array that a gradient is taken by; raises where there is none."""
    names = parameters_of(loss.error)
    check_choice("argument", argument, range(len(names)))
    name, x = names[argument], arguments.arrays[argument]
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{name} has dtype {x.dtype}, expected a floating dtype for a gradient by it"
        )
    if x.size == 0:
        raise ValueError(
            f"{name} has shape {x.shape}: there is nothing to compare, expected one sample or more"
        )
    return x


@functools.partial(jax.jit, static_argnums=(0, 1))
def _gradient(loss: BaseLoss, argument: int, arguments: Arguments) -> Array:
    value = functools.partial(_value, loss, argument, arguments)
    return jax.grad(value)(arguments.arrays[argument])


@functools.partial(jax.jit, static_argnums=(0, 1))
def _central_differences(
    loss: BaseLoss, argument: int, arguments: Arguments, index: Array
) -> Float[Array, " points"]:
    wide = arguments._replace(arrays=tuple(_widened(x) for x in arguments.arrays))
    moved = wide.arrays[argument]
    flat = moved.ravel()

    def difference(i: Array) -> Array:
        step = jnp.maximum(STEP, 1e-9 * abs(flat[i]))
        up, down = (flat.at[i].add(h) for h in (step, -step))
        rise, fall = (_value(loss, argument, wide, x.reshape(moved.shape)) for x in (up, down))
        return (rise - fall) / (up[i] - down[i])

    return jax.lax.map(difference, index)


def _value(loss: BaseLoss, argument: int, arguments: Arguments, moved: Array) -> Array:
    """The loss as a function of one of its arrays."""
    before, after = arguments.arrays[:argument], arguments.arrays[argument + 1 :]
    return loss(*before, moved, *after, where=arguments.where, weights=arguments.weights)


def _widened(x: Array) -> Array:
    return jnp.asarray(x, jnp.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x


def _spacing(a: np.ndarray, b: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The distance between neighbouring numbers of `dtype` at the larger of both."""
    info = jnp.finfo(dtype)
    exponent = np.floor(np.log2(np.maximum(np.maximum(abs(a), abs(b)), float(info.tiny))))
    return np.maximum(2.0**exponent * float(info.eps), float(info.tiny))
