"""The state of a training run: one frozen pytree of arrays."""

import dataclasses
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import PRNGKeyArray

Model = TypeVar("Model", bound=nnx.Module)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """All that changes while a model is trained.

    Args:
        params: the trained parameters, as plain arrays.
        rest: the model's other arrays.
        optimizer: the optimizer's state.
        key: the run's random key, which never changes; noise folds the step into it.
        step: how many updates have been made.
    """

    params: Any
    rest: Any
    optimizer: Any
    key: Any
    step: Any


def initial_state(
    model: nnx.Module, optimizer: optax.GradientTransformation, key: PRNGKeyArray
) -> tuple[Any, State]:
    """A model split into its structure and the State that training starts from.

    Returns:
        The graph definition, which is static and hashable, and the State.
    """
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    params, rest = nnx.as_pure(params), nnx.as_pure(rest)
    return graphdef, State(params, rest, optimizer.init(params), key, jnp.int32(0))


def trained_model(model: Model, state: State) -> Model:
    """A copy of the model with the state's arrays; the model itself is left as it is."""
    graphdef, _, _ = nnx.split(model, nnx.Param, ...)
    return nnx.merge(graphdef, state.params, state.rest)
