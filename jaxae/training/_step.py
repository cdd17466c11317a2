"""One step: a pure function from a state and a batch to the next state."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float

from jaxae.objectives import Batch, Objective, Statistics, batch_statistics, finish
from jaxae.training._state import State


@dataclasses.dataclass(frozen=True)
class Step:
    """A gradient step on an objective; pure, and hashable for `jax.jit`.

    Args:
        graphdef: the model's structure, from `initial_state`.
        objective: what is minimised.
        optimizer: an optax gradient transformation.
    """

    graphdef: Any
    objective: Objective
    optimizer: optax.GradientTransformation

    def statistics(self, params: Any, state: State, batch: Batch) -> Statistics:
        """The batch's merged statistics under the given parameters."""
        model = nnx.merge(self.graphdef, params, state.rest)
        key = jax.random.fold_in(state.key, state.step)
        return batch_statistics(self.objective, model, batch, key)

    def loss(self, params: Any, state: State, batch: Batch) -> tuple[Float[Array, ""], Statistics]:
        """The objective's value, and the statistics that it was finished from."""
        statistics = self.statistics(params, state, batch)
        return finish(self.objective, statistics), statistics

    def update(self, state: State, batch: Batch) -> tuple[State, Statistics]:
        """The state after one update, and the statistics from before it.

        The batch must hold a sample that counts: an optimizer moves on momentum alone.
        """
        gradient, statistics = jax.grad(self.loss, has_aux=True)(state.params, state, batch)
        updates, optimizer = self.optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, state.rest, optimizer, state.key, state.step + 1), statistics

    def __call__(self, state: State, batch: Batch) -> tuple[State, Statistics]:
        """As `update`, but a batch of nothing but padding leaves the state as it is."""

        def keep(state: State, batch: Batch) -> tuple[State, Statistics]:
            return state, self.statistics(state.params, state, batch)

        present = jnp.any(batch.weight != 0)
        return jax.lax.cond(present, self.update, keep, state, batch)
