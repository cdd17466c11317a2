"""Gradients in closed form: what `jax.grad` of a batch loss comes to, written out."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._arguments import Arguments
from jaxae.losses._error import derivative_of
from jaxae.losses._loss import Loss
from jaxae.losses._mean import Mean
from jaxae.losses._shared_scale import SharedScaleGaussian

Written = Loss | SharedScaleGaussian


def analytic_gradient(loss: Written) -> Callable[..., Float[Array, "N ..."]]:
    """The closed form of a loss's gradient by its predictions.

    gradient(A, Y) = w·m·e'(A, Y) / Σ what counts

    where e' is the derivative of the error, w the weights, m the mask, and the denominator is the
    loss's own: for `mse` 2(A − Y)/(N·C), for `sse_per_sample` 2(A − Y)/N, for `sse` 2(A − Y). For a
    SharedScaleGaussian e' is (A − Y)/σ², with its own scale. No automatic differentiation is
    involved.

    Args:
        loss: a Loss whose error has a closed form: those of jaxae have one, an error of your own is
            marked with `@closed_form(derivative)`. Or a SharedScaleGaussian.

    Returns:
        A function of what the loss takes, `gradient(predictions, targets, where=…, weights=…)`,
        which returns an array of the predictions' shape and dtype, in the loss's unit for each unit
        of the prediction.

    Raises:
        TypeError: something else; other functions of batch means have no such form.
        ValueError: an error whose closed form is not known.

    Example:
        >>> from jaxae.losses import mse
        >>> A, Y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1.0, 0.0], [0.0, 0.0]])
        >>> analytic_gradient(mse)(A, Y).tolist()
        [[0.0, 1.0], [1.5, 2.0]]
        >>> jax.grad(mse)(A, Y).tolist()
        [[0.0, 1.0], [1.5, 2.0]]
    """
    _demand_closed_form(loss)
    return functools.partial(_gradient, loss, 1.0)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Residuals:
    """What `forward` keeps for `backward`, a pytree: the loss and what it was called with.

    Args:
        loss: the loss, static: no leaf of the tree.
        arrays: what the loss took, e.g. predictions and targets.
        where: the mask, or None.
        weights: the weights, or None.
    """

    loss: Written = dataclasses.field(metadata={"static": True})
    arrays: Any
    where: Any
    weights: Any


def forward(
    loss: Written,
    *arrays: ArrayLike,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> tuple[Float[Array, ""], Residuals]:
    """The loss's value, and what `backward` needs to give its gradient.

    The pair is what a NumPy class with the methods `forward(A, Y)` and `backward()` computes: for
    `mse`, SE = (A − Y) ⊙ (A − Y), SSE = ι_Nᵀ SE ι_C, MSE = SSE/(N·C), and then 2(A − Y)/(N·C).

    Args:
        loss: what `analytic_gradient` takes.
        *arrays: what the loss takes, e.g. predictions and targets, each of shape (N, ...).
        where: bool, over a prefix of the targets' axes.
        weights: non-negative, over a prefix of the targets' axes.

    Returns:
        The value, a scalar, and the Residuals. Both may leave a function that is jitted.

    Raises:
        TypeError, ValueError: what `analytic_gradient` raises, and what the loss raises.

    Example:
        >>> from jaxae.losses import mse
        >>> A, Y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1.0, 0.0], [0.0, 0.0]])
        >>> value, residuals = forward(mse, A, Y)
        >>> float(value), backward(residuals).tolist()
        (7.25, [[0.0, 1.0], [1.5, 2.0]])
    """
    _demand_closed_form(loss)
    value = loss(*arrays, where=where, weights=weights)
    return value, Residuals(loss, arrays, where, weights)


def backward(residuals: Residuals, cotangent: ArrayLike = 1.0) -> Float[Array, "N ..."]:
    """The gradient of `forward`'s value by the predictions, in closed form.

    Args:
        residuals: what `forward` returned.
        cotangent: the derivative of what comes after the loss by the loss; a scalar.

    Returns:
        An array of the predictions' shape and dtype.

    Raises:
        ValueError: a cotangent that is not a scalar.
    """
    if jnp.ndim(cotangent) != 0:
        raise ValueError(
            f"cotangent has shape {jnp.shape(cotangent)}, expected a scalar: the derivative of "
            "what comes after the loss by the loss, which is one number"
        )
    r = residuals
    return _gradient(r.loss, cotangent, *r.arrays, where=r.where, weights=r.weights)


def has_closed_form(loss: Any) -> bool:
    """Whether `analytic_gradient` knows the loss's gradient."""
    return isinstance(loss, Written) and hasattr(loss.error, "derivative")


def _demand_closed_form(loss: Any) -> None:
    if not isinstance(loss, Written):
        raise TypeError(
            f"got {loss!r}, expected a Loss: an error that is added and divided once, or a "
            "SharedScaleGaussian"
        )
    derivative_of(loss.error)


def _gradient(
    loss: Written,
    cotangent: ArrayLike,
    *arrays: ArrayLike,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Array:
    return _compiled(loss, cotangent, loss.checked(arrays, where, weights))


@functools.partial(jax.jit, static_argnums=0)
def _compiled(loss: Written, cotangent: ArrayLike, arguments: Arguments) -> Array:
    where, weights = arguments.where, arguments.weights
    statistic: Any = loss.whole(*arguments.arrays, where=where, weights=weights)
    scale = _by_total(loss, statistic, jnp.asarray(cotangent, statistic.total.dtype))
    slopes = jax.vmap(functools.partial(_slopes, loss, scale))(arguments)
    return slopes.astype(arguments.arrays[0].dtype)


def _by_total(loss: Written, statistic: Any, cotangent: Array) -> Array:
    """The derivative by Σ w·m·e: the cotangent, divided as the loss divides that sum."""
    if isinstance(loss, Loss):
        return dataclasses.replace(statistic, total=cotangent).value
    variance = jnp.maximum(statistic.value[0], loss.minimum_variance)
    weight = statistic.samples if loss.unit == "sample" else statistic.numbers
    return Mean(0.5 * cotangent / variance, weight).value


def _slopes(loss: Written, scale: Array, one: Arguments) -> Array:
    """One sample's w·m·e' times a scale, which comes first so that a large e' stays finite."""
    arrays, coverage = loss.converted(one.arrays, one.where, one.weights)
    return coverage.weigh(scale * derivative_of(loss.error)(*coverage.cover(arrays)))
