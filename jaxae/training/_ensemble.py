"""Many models at once: a step of one model, vmapped over models that start from their own keys."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Key

from jaxae.objectives import Batch, Objective, Statistics
from jaxae.training._arguments import check_hyperparameters
from jaxae.training._state import State, initial_state
from jaxae.training._step import Step

Keys = Key[Array, " K"]


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """A step of many models, each with its own state, and its own batch or the same.

    It is what a Step is, with one more axis in front of everything.

    Args:
        one: the step of one model.
    """

    one: Step

    @property
    def objective(self) -> Objective:
        """The objective of each."""
        return self.one.objective

    def update(self, state: State, batch: Batch) -> tuple[State, Statistics]:
        """The states after one update each, and the statistics from before it."""
        return jax.vmap(self.one.update)(state, batch)

    def evaluated(self, state: State, batch: Batch) -> Statistics:
        """Each model's statistics of its batch, or of the same batch."""
        own = batch.weight.ndim == 2
        return jax.vmap(self.one.evaluated, (0, 0 if own else None))(state, batch)

    def finish(self, statistics: Statistics, updates: Any) -> Array:
        """The objective's value of each."""
        return jax.vmap(self.one.finish)(statistics, updates)

    def batch_summary(self, statistics: Statistics) -> Statistics:
        """What is known of each one's batch."""
        return jax.vmap(self.one.batch_summary)(statistics)

    def summary(self, stacked: Statistics) -> Statistics:
        """Each one's summary of batches."""
        return jax.vmap(self.one.summary, 1)(stacked)

    def term_values(self, statistics: Statistics) -> dict[str, Array]:
        """Each one's values of the terms."""
        return jax.vmap(self.one.term_values)(statistics)


def initial_states(
    build: Callable[[nnx.Rngs], nnx.Module],
    optimizer: optax.GradientTransformation,
    keys: Keys,
    hyperparameters: Mapping[str, Any],
    *,
    averaged: bool,
) -> tuple[Sequence[nnx.Module], Any, State]:
    """Models that are drawn from keys of their own, and what training starts from, stacked.

    Args:
        build: makes a model from a source of random numbers.
        optimizer: an optax gradient transformation.
        keys: one random key for each model.
        hyperparameters: of an optimizer made by `optax.inject_hyperparams`: one value for each
            model, by name.
        averaged: whether an average of the parameters is kept.

    Returns:
        The models, their graph definition, and their State with a leading axis of models.

    Raises:
        TypeError: an optimizer without hyperparameters, or a function that makes no model.
        ValueError: hyperparameters that the optimizer has not, or that are not one for each model.
    """
    models = [_built(build, key) for key in keys]
    splits = [
        initial_state(model, optimizer, key, averaged=averaged)
        for model, key in zip(models, keys, strict=True)
    ]
    state = jax.tree.map(lambda *x: jnp.stack(x), *(state for _, state in splits))
    check_hyperparameters(hyperparameters, state.optimizer, len(models))
    for name, values in hyperparameters.items():
        values = jnp.asarray(values, jnp.float32)
        chosen = optax.tree_utils.tree_set(state.optimizer, **{name: values})
        state = dataclasses.replace(state, optimizer=chosen)
    return models, splits[0][0], state


def _built(build: Callable[[nnx.Rngs], Any], key: Key[Array, ""]) -> nnx.Module:
    model = build(nnx.Rngs(key))
    if not isinstance(model, nnx.Module):
        raise TypeError(f"with seeds= the function made {model!r}, expected an NNX module")
    return model


def model_states(state: State, models: int) -> list[State]:
    """Each model's own State."""
    return [jax.tree.map(lambda x, i=i: x[i], state) for i in range(models)]


def mean_and_deviation(values: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Of numbers by name, one or one for each model: their means, and the deviations of those.

    The deviation is the sample's, divided by the number of models less 1; of one model there is
    none.
    """
    arrays = {name: np.asarray(x, np.float64) for name, x in values.items()}
    means = {name: float(x.mean()) for name, x in arrays.items()}
    many = {name: x for name, x in arrays.items() if x.ndim and len(x) > 1}
    return means, {name: float(x.std(ddof=1)) for name, x in many.items()}
