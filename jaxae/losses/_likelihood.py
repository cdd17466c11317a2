"""What a prediction means: which error belongs to it, and how to read it."""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import jax
from jaxtyping import Array

Error = TypeVar("Error", bound=Callable[..., Array])


def identity(x: Array) -> Array:
    """The link of a prediction that is already on the target's scale."""
    return x


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """What a model's prediction is: the parameter of a distribution over the target.

    A model predicts unbounded numbers; the likelihood says which error they go into, and which
    function, the inverse link of a generalised linear model, turns them into the target's mean.

    Args:
        error: e(prediction, target), elementwise, in nats up to a constant.
        link: maps a prediction to the target's mean, elementwise.
        parameters_per_element: how many numbers a model predicts for each number of the target.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import bernoulli
        >>> bernoulli.link(jnp.array([-jnp.inf, 0.0, jnp.inf])).tolist()
        [0.0, 0.5, 1.0]
    """

    error: Callable[[Array, Array], Array]
    link: Callable[[Array], Array] = identity
    parameters_per_element: int = 1


def from_logits(error: Error) -> Error:
    """Mark an error whose first argument is logits, so that no one applies a sigmoid before it.

    It decorates a function, or the class of an error that has hyperparameters. An error that is not
    marked is taken to compare numbers on the target's scale.

    Example:
        >>> @from_logits
        ... def brier(logits, target):
        ...     return (jax.nn.sigmoid(logits) - target) ** 2
        >>> link_of(brier) is jax.nn.sigmoid, link_of(abs) is identity
        (True, True)
    """
    error.takes_logits = True  # pyright: ignore[reportFunctionMemberAccess]
    return error


def link_of(error: Callable[..., Array]) -> Callable[[Array], Array]:
    """The link that an error applies to its first argument itself: sigmoid or identity."""
    return jax.nn.sigmoid if getattr(error, "takes_logits", False) else identity
