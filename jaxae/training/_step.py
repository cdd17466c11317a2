"""One step: a pure function from a state and a batch to the next state."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float

from jaxae.objectives import (
    Batch,
    Objective,
    Statistics,
    axis_name_of,
    batch_statistics,
    batch_summary,
    filled,
    finish,
    gradient,
    summary,
    term_values,
)
from jaxae.training._state import State, evaluated_params


@dataclasses.dataclass(frozen=True)
class Step:
    """A gradient step on an objective; pure, and hashable for `jax.jit`.

    A step of your own is a subclass: `update` is what happens to a batch, `next_state` what happens
    to a gradient.

    Args:
        graphdef: the model's structure, from `initial_state`.
        objective: what is minimised.
        optimizer: an optax gradient transformation.
        microbatch_size: how many samples are in memory at once; None for the whole batch.
        compute_dtype: what the model computes in, e.g. `jnp.bfloat16`; parameters, their updates
            and the losses stay as they are. None for the parameters' own.
        average_decay: of the moving average of the parameters, e.g. 0.999; None for no average.
        constraint: maps the parameters after an update to those that are kept.
        skip_nonfinite: whether an update that is not finite is dropped, and counted.
        shards: over how many devices a batch is spread, so that each cuts its own microbatches.

    Raises:
        ValueError: when it is used, microbatches for a model that couples the samples of a batch.
    """

    graphdef: Any
    objective: Objective
    optimizer: optax.GradientTransformation
    microbatch_size: int | None = None
    compute_dtype: Any = None
    average_decay: float | None = None
    constraint: Callable[[Any], Any] | None = None
    skip_nonfinite: bool = False
    shards: int = 1

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        # Of a model's structure it takes a while, and each compiled function asks for it.
        return hash(tuple(getattr(self, field.name) for field in dataclasses.fields(self)))

    def evaluated(self, state: State, batch: Batch) -> Statistics:
        """A batch's merged statistics under the parameters that count after training.

        The model is in its mode for evaluation (`nnx.Module.eval`): without dropout, for example.
        """
        return self._statistics(evaluated_params(state), state, batch, training=False)

    def statistics(self, params: Any, state: State, batch: Batch) -> Statistics:
        """The batch's merged statistics under the given parameters, in training."""
        return self._statistics(params, state, batch, training=True)

    def _statistics(self, params: Any, state: State, batch: Batch, *, training: bool) -> Statistics:
        params, inputs = (_in(self.compute_dtype, x) for x in (params, batch.input))
        model = nnx.merge(self.graphdef, params, state.rest)
        if not training:
            model.eval()
        key = jax.random.fold_in(state.key, state.step)
        batch = dataclasses.replace(batch, input=inputs)
        return batch_statistics(self.objective, model, batch, key, fill=False)

    def finish(self, statistics: Statistics, updates: Any) -> Float[Array, ""]:
        """The objective's value after so many updates, from merged statistics."""
        return finish(self.objective, statistics, updates)

    def batch_summary(self, statistics: Statistics) -> Statistics:
        """What is known of a batch, from its merged statistics, without its samples."""
        return batch_summary(self.objective, statistics)

    def summary(self, stacked: Statistics) -> Statistics:
        """What is known of batches, from each one's statistics or summary; summaries add."""
        return summary(self.objective, stacked)

    def term_values(self, statistics: Statistics) -> dict[str, Float[Array, ""]]:
        """Each term's value without its coefficient, from merged statistics or a summary."""
        return term_values(self.objective, statistics)

    def update(self, state: State, batch: Batch) -> tuple[State, Statistics]:
        """The state after one update, and the statistics from before it.

        The batch must hold a sample that counts: an optimizer moves on momentum alone. Its padding
        must be something at which the model is defined, such as another sample.
        """
        self._check_microbatches(state)
        slopes, statistics = gradient(
            lambda params, piece: self.statistics(params, state, piece),
            lambda merged: self.finish(merged, state.step),
            state.params,
            batch,
            microbatch_size=self.microbatch_size,
            shards=self.shards,
            fill=False,
        )
        new = self.next_state(state, slopes, statistics)
        return self._finite(state, new, statistics) if self.skip_nonfinite else (new, statistics)

    def next_state(self, state: State, slopes: Any, statistics: Statistics) -> State:
        """The state after one update by a gradient, and by the batch's merged statistics."""
        updates, optimizer = self.optimizer.update(slopes, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        if self.constraint is not None:
            params = self.constraint(params)
        average = state.average
        if self.average_decay is not None:
            average = optax.incremental_update(params, average, 1 - self.average_decay)
        rest = self._absorbed(params, state.rest, statistics)
        return State(params, rest, optimizer, state.key, state.step + 1, state.skipped, average)

    def __call__(self, state: State, batch: Batch) -> tuple[State, Statistics]:
        """As `update`, of any padding; a batch of nothing else leaves the state as it is."""

        def keep(state: State, batch: Batch) -> tuple[State, Statistics]:
            return state, self.statistics(state.params, state, batch)

        present = jnp.any(batch.weight != 0)
        return jax.lax.cond(present, self.update, keep, state, filled(batch))

    def _check_microbatches(self, state: State) -> None:
        model = nnx.merge(self.graphdef, state.params, state.rest)
        if self.microbatch_size is not None and axis_name_of(model) is not None:
            raise ValueError(
                f"{type(model).__name__} couples the samples of a batch (axis "
                f"{axis_name_of(model)!r}), so that its batches cannot be cut; train it without "
                "microbatch_size"
            )

    def _absorbed(self, params: Any, rest: Any, statistics: Statistics) -> Any:
        """The model's other arrays after it has absorbed its own statistics of a batch."""
        own = {name: x for name, x in statistics.items() if name not in self.objective}
        if not own:
            return rest
        model = nnx.merge(self.graphdef, params, rest)
        model.absorb(own)
        return nnx.as_pure(nnx.split(model, nnx.Param, ...)[2])

    def _finite(self, state: State, new: State, statistics: Statistics) -> tuple[State, Statistics]:
        """The new state and its statistics if both are finite; else the old one, counted."""
        loss = self.finish(statistics, state.step)
        numbers = jax.tree.leaves((loss, new.params, new.rest, new.optimizer, new.average))
        finite = jnp.all(jnp.stack([jnp.isfinite(x).all() for x in numbers if _floating(x)]))
        dropped = dataclasses.replace(state, skipped=state.skipped + 1)
        kept = jax.lax.cond(finite, lambda: new, lambda: dropped)
        return kept, jax.tree.map(lambda x: jnp.where(finite, x, 0), statistics)


def _floating(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)


def _in(dtype: Any, arrays: Any) -> Any:
    """The floating arrays of a tree in a dtype; as they are where it is None."""
    if dtype is None:
        return arrays
    return jax.tree.map(lambda x: x.astype(dtype) if _floating(x) else x, arrays)
