"""Gradients in closed form: what `jax.grad` of a batch loss comes to, written out."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._arguments import Arguments
from jaxae.losses._error import derivative_of
from jaxae.losses._loss import Loss
from jaxae.losses._mean import Mean


def analytic_gradient(loss: Loss) -> Callable[..., Float[Array, "N ..."]]:
    """The closed form of a loss's gradient by its predictions.

    gradient(A, Y) = w·m·e'(A, Y) / Σ what counts

    where e' is the derivative of the error, w the weights, m the mask, and the denominator is the
    loss's own: for `mse` 2(A − Y)/(N·C), for `sse_per_sample` 2(A − Y)/N, for `sse` 2(A − Y). No
    automatic differentiation is involved.

    Args:
        loss: a Loss whose error has a closed form: those of jaxae have one, an error of your own is
            marked with `@closed_form(derivative)`.

    Returns:
        A function of what the loss takes, `gradient(predictions, targets, where=…, weights=…)`,
        which returns an array of the predictions' shape and dtype, in the loss's unit for each unit
        of the prediction.

    Raises:
        TypeError: something else than a Loss; a function of batch means has no such form.
        ValueError: an error whose closed form is not known.

    Example:
        >>> from jaxae.losses import mse
        >>> A, Y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1.0, 0.0], [0.0, 0.0]])
        >>> analytic_gradient(mse)(A, Y).tolist()
        [[0.0, 1.0], [1.5, 2.0]]
        >>> jax.grad(mse)(A, Y).tolist()
        [[0.0, 1.0], [1.5, 2.0]]
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"got {loss!r}, expected a Loss: an error that is added and divided once")
    derivative_of(loss.error)
    return functools.partial(_gradient, loss)


class Residuals(NamedTuple):
    """What `forward` keeps for `backward`: the loss and what it was called with."""

    loss: Loss
    arrays: tuple[ArrayLike, ...]
    where: ArrayLike | None
    weights: ArrayLike | None


def forward(
    loss: Loss,
    *arrays: ArrayLike,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> tuple[Float[Array, ""], Residuals]:
    """The loss's value, and what `backward` needs to give its gradient.

    The pair is what a NumPy class with the methods `forward(A, Y)` and `backward()` computes: for
    `mse`, SE = (A − Y) ⊙ (A − Y), SSE = ι_Nᵀ SE ι_C, MSE = SSE/(N·C), and then 2(A − Y)/(N·C).

    Args:
        loss: a Loss whose error has a closed form.
        *arrays: what the loss takes, e.g. predictions and targets, each of shape (N, ...).
        where: bool, over a prefix of the targets' axes.
        weights: non-negative, over a prefix of the targets' axes.

    Returns:
        The value, a scalar, and the Residuals.

    Example:
        >>> from jaxae.losses import mse
        >>> A, Y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1.0, 0.0], [0.0, 0.0]])
        >>> value, residuals = forward(mse, A, Y)
        >>> float(value), backward(residuals).tolist()
        (7.25, [[0.0, 1.0], [1.5, 2.0]])
    """
    value = loss(*arrays, where=where, weights=weights)
    return value, Residuals(loss, arrays, where, weights)


def backward(residuals: Residuals, cotangent: ArrayLike = 1.0) -> Float[Array, "N ..."]:
    """The gradient of `forward`'s value by the predictions, in closed form.

    Args:
        residuals: what `forward` returned.
        cotangent: the derivative of what comes after the loss by the loss; a scalar.

    Returns:
        An array of the predictions' shape and dtype.
    """
    gradient = analytic_gradient(residuals.loss)
    slopes = gradient(*residuals.arrays, where=residuals.where, weights=residuals.weights)
    return jnp.asarray(cotangent, slopes.dtype) * slopes


def _gradient(
    loss: Loss,
    *arrays: ArrayLike,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Array:
    merged = loss.merged(*arrays, where=where, weights=weights)
    arguments = Arguments.of(arrays, where, weights)
    slopes = jax.vmap(functools.partial(_slopes, loss))(arguments)
    weight = merged.weight if isinstance(merged, Mean) else jnp.ones((), slopes.dtype)
    return Mean(slopes, weight).value.astype(arguments.arrays[0].dtype)


def _slopes(loss: Loss, one: Arguments) -> Array:
    """One sample's w·m·e'."""
    kept, coverage = loss.covered(one.arrays, one.where, one.weights)
    return coverage.weigh(derivative_of(loss.error)(*kept))
