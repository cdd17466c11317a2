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
        skipped: how many updates were dropped because they were not finite.
        average: the exponential moving average of the parameters; None where none is kept.
    """

    params: Any
    rest: Any
    optimizer: Any
    key: Any
    step: Any
    skipped: Any
    average: Any = None


def initial_state(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    key: PRNGKeyArray,
    *,
    averaged: bool = False,
) -> tuple[Any, State]:
    """A model split into its structure and the State that training starts from.

    Args:
        model: any NNX module.
        optimizer: an optax gradient transformation.
        key: the run's random key.
        averaged: whether an average of the parameters is kept.

    Returns:
        The graph definition, which is static and hashable, and the State.
    """
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    params, rest = nnx.as_pure(params), nnx.as_pure(rest)
    average = jax.tree.map(jnp.copy, params) if averaged else None
    none = jnp.int32(0)
    return graphdef, State(params, rest, optimizer.init(params), key, none, none, average)


def trained_model(model: Model, state: State) -> Model:
    """A copy of the model with the state's arrays, averaged ones where an average is kept.

    The model itself is left as it is.
    """
    graphdef, _, _ = nnx.split(model, nnx.Param, ...)
    return nnx.merge(graphdef, evaluated_params(state), state.rest)


def evaluated_params(state: State) -> Any:
    """The parameters that count after training: their average where one is kept."""
    return state.params if state.average is None else state.average
