"""The loop: steps over batches of device-resident data, compiled once, stopped anywhere."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxae.objectives import Batch, Statistics, finish, finish_batches
from jaxae.training._order import PADDING
from jaxae.training._state import State
from jaxae.training._step import Step


class Progress(NamedTuple):
    """How far an epoch has come.

    Args:
        next: the batch that comes next.
        loss: the last batch's loss; training stops where it is not finite.
        state: the state before that batch.
        means: each batch's merged statistics, stacked; zeros where it has not been run.
    """

    next: Any
    loss: Any
    state: State
    means: Statistics


def take(data: Float[Array, "N ..."], index: Int[Array, " B"]) -> Batch:
    """The batch of the samples at these indices, whose target is the input; −1 is padding."""
    rows = data.at[jnp.maximum(index, 0)].get(mode="promise_in_bounds")
    return Batch(rows, rows, index, (index != PADDING).astype(data.dtype))


def begin(step: Step, state: State, data: Array, order: Array) -> Progress:
    """An epoch of which no batch has been run."""

    def first_loss(state: State, data: Array, index: Array) -> tuple[Array, Statistics]:
        return step.loss(state.params, state, take(data, index))

    loss, statistics = jax.eval_shape(first_loss, state, data, order[0])
    means = jax.tree.map(lambda x: jnp.zeros((len(order), *x.shape), x.dtype), statistics)
    return Progress(jnp.int32(0), jnp.zeros((), loss.dtype), state, means)


@functools.partial(jax.jit, static_argnums=0)
def advance(
    step: Step, progress: Progress, data: Array, order: Array, stop: Int[Array, ""]
) -> Progress:
    """The epoch after batch `stop`, or after the first whose loss is not finite.

    The stop is traced: stopping elsewhere does not compile again, and going on from there gives
    bit for bit what one run would have given.

    Args:
        step: what is done with each batch.
        progress: where the epoch stands.
        data: all samples, on the device.
        order: the epoch's batches, each with at least one sample.
        stop: the batch to stop before.

    Returns:
        The Progress at the stop.
    """

    def run(progress: Progress) -> Progress:
        batch = take(data, order[progress.next])
        state, statistics = step.update(progress.state, batch)
        loss = finish(step.objective, statistics)
        means = jax.tree.map(
            lambda stack, mean: stack.at[progress.next].set(mean), progress.means, statistics
        )
        return Progress(progress.next + 1, loss, state, means)

    return jax.lax.while_loop(lambda p: (p.next < stop) & jnp.isfinite(p.loss), run, progress)


@jax.jit
def finite(progress: Progress, losses: tuple[Array, ...]) -> Bool[Array, ""]:
    """Whether the last batch's loss, the parameters after it and the losses are all finite."""
    numbers = jax.tree.leaves((progress.loss, progress.state.params, losses))
    return jnp.all(jnp.stack([jnp.isfinite(x).all() for x in numbers]))


@functools.partial(jax.jit, static_argnums=0)
def epoch_loss(step: Step, means: Statistics) -> Float[Array, ""]:
    """The objective over all batches of an epoch, each sample counted once."""
    return finish_batches(step.objective, means)


@functools.partial(jax.jit, static_argnums=0)
def data_loss(step: Step, state: State, data: Array, order: Array) -> Float[Array, ""]:
    """The objective over data that are not trained on, in batches, each sample counted once."""

    def statistics(index: Array) -> Any:
        return step.statistics(state.params, state, take(data, index))

    return epoch_loss(step, jax.lax.map(statistics, order))
