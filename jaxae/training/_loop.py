"""The loop: steps over batches of samples on the device, compiled once, stopped anywhere."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxae.objectives import Batch, Statistics
from jaxae.training._ensemble import Ensemble
from jaxae.training._layout import Layout
from jaxae.training._order import PADDING
from jaxae.training._state import State
from jaxae.training._step import Step


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Chunk:
    """Samples on the device, and the batches that they make: an epoch, or a piece of one.

    Args:
        samples: an array, or a tree of them, of samples along the leading axis.
        index: each sample's index in all of the data, which its noise belongs to; None where the
            samples are all of the data.
        order: the places in `samples` of each batch's, shape (batches, batch size), or (batches,
            models, batch size) where each model has an order of its own; −1 is padding, which
            follows a batch's samples.
    """

    samples: Any
    index: Any
    order: Any


class Progress(NamedTuple):
    """How far a chunk has come.

    Args:
        next: the batch that comes next.
        loss: the last batch's loss; training stops where it is not finite.
        state: the state before that batch.
        means: each batch's summary, stacked; zeros where it has not been run.
    """

    next: Any
    loss: Any
    state: State
    means: Statistics


class Values(NamedTuple):
    """An objective over some data.

    Args:
        loss: the sum of the terms times their coefficients.
        terms: each term's value, without its coefficient, by name.
    """

    loss: Any
    terms: dict[str, Any]


def take(chunk: Chunk, batch: Int[Array, ""]) -> Batch:
    """A batch of a chunk, whose targets are the inputs; its padding repeats its first sample."""
    places = chunk.order[batch]
    present = places != PADDING
    # Read from the order, not from the row: that may be spread over devices.
    first = chunk.order[batch, ..., :1]
    places = jnp.maximum(jnp.where(present, places, first), 0)

    def gather(x: Array) -> Array:
        return x.at[places].get(mode="promise_in_bounds")

    rows = jax.tree.map(gather, chunk.samples)
    index = places if chunk.index is None else gather(chunk.index)
    first = jax.tree.leaves(rows)[0]
    weight = present.astype(jnp.promote_types(first.dtype, jnp.float32))
    return Batch(rows, rows, jnp.where(present, index, PADDING), weight)


@functools.partial(jax.jit, static_argnums=0)
def begin(step: Step | Ensemble, state: State, chunk: Chunk) -> Progress:
    """A chunk of which no batch has been run."""

    def first(state: State, chunk: Chunk) -> tuple[Array, Statistics]:
        statistics = step.evaluated(state, take(chunk, jnp.int32(0)))
        return step.finish(statistics, state.step), step.batch_summary(statistics)

    loss, statistics = jax.eval_shape(first, state, chunk)
    batches = len(chunk.order)
    means = jax.tree.map(lambda x: jnp.zeros((batches, *x.shape), x.dtype), statistics)
    return Progress(jnp.int32(0), jnp.zeros(loss.shape, loss.dtype), state, means)


@functools.partial(jax.jit, static_argnums=(0, 1))
def advance(
    step: Step | Ensemble, layout: Layout, progress: Progress, chunk: Chunk, stop: Int[Array, ""]
) -> Progress:
    """The chunk after batch `stop`, or after the first whose loss is not finite.

    The stop is traced: stopping elsewhere does not compile again, and going on from there gives
    bit for bit what one run would have given.

    Args:
        step: what is done with each batch.
        layout: over which devices.
        progress: where the chunk stands.
        chunk: the samples, and batches with at least one sample each up to the stop.
        stop: the batch to stop before.

    Returns:
        The Progress at the stop.
    """

    def run(progress: Progress) -> Progress:
        batch = layout.spread_batch(take(chunk, progress.next))
        state, statistics = step.update(_fetched(layout, progress.state), batch)
        loss = step.finish(statistics, progress.state.step)
        # An update that was dropped ends nothing.
        loss = jnp.where(state.skipped == progress.state.skipped, loss, progress.loss)
        means = jax.tree.map(
            lambda stack, mean: stack.at[progress.next].set(mean),
            progress.means,
            step.batch_summary(statistics),
        )
        return _kept(layout, Progress(progress.next + 1, loss, state, means))

    def unfinished(progress: Progress) -> Array:
        return (progress.next < stop) & jnp.isfinite(progress.loss).all()

    return _kept(layout, jax.lax.while_loop(unfinished, run, progress))


@functools.partial(jax.jit, static_argnums=0)
def nothing_done(step: Step | Ensemble, progress: Progress) -> Statistics:
    """The summary of no chunk."""
    return jax.tree.map(jnp.zeros_like, step.summary(progress.means))


@functools.partial(jax.jit, static_argnums=0)
def end_chunk(
    step: Step | Ensemble, progress: Progress, done: Statistics
) -> tuple[Progress, Statistics]:
    """The Progress before a new chunk, and the summary of all chunks up to this one."""
    return fresh(progress), add(done, step.summary(progress.means))


def fresh(progress: Progress) -> Progress:
    """The Progress before a chunk of which no batch has been run."""
    zeros = jax.tree.map(jnp.zeros_like, (progress.next, progress.means))
    return progress._replace(next=zeros[0], means=zeros[1])


@jax.jit
def add(first: Statistics, second: Statistics) -> Statistics:
    """The summary of both parts of some data."""
    return {name: first[name] + second[name] for name in first}


@functools.partial(jax.jit, static_argnums=(0, 1))
def chunk_summary(step: Step | Ensemble, layout: Layout, state: State, chunk: Chunk) -> Statistics:
    """What is known of all batches of a chunk that is not trained on."""
    state = _fetched(layout, state)

    def statistics(batch: Array) -> Statistics:
        return step.batch_summary(step.evaluated(state, layout.spread_batch(take(chunk, batch))))

    return step.summary(jax.lax.map(statistics, jnp.arange(len(chunk.order))))


@functools.partial(jax.jit, static_argnums=0)
def values(step: Step | Ensemble, statistics: Statistics, updates: Int[Array, "..."]) -> Values:
    """The objective over data, each sample counted once, with the coefficients of now.

    Args:
        step: whose objective it is.
        statistics: the summary of the data.
        updates: how many there have been, which schedules of coefficients depend on.
    """
    return Values(step.finish(statistics, updates), step.term_values(statistics))


@jax.jit
def finite(*trees: Any) -> Bool[Array, ""]:
    """Whether all numbers in some trees are finite."""
    floats = [x for x in jax.tree.leaves(trees) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.isfinite(x).all() for x in floats]))


def _kept(layout: Layout, progress: Progress) -> Progress:
    """A Progress where it was, so that the loop goes on from there and is compiled once."""
    after, loss, means = layout.copied((progress.next, progress.loss, progress.means))
    return Progress(after, loss, layout.keep_state(progress.state), means)


def _fetched(layout: Layout, state: State) -> State:
    """A state whose parameters each device has all of, for the time of a step."""
    params, average = layout.copied((state.params, state.average))
    return dataclasses.replace(state, params=params, average=average)


def batch_values(step: Step | Ensemble, progress: Progress) -> dict[str, Float[Array, "..."]]:
    """Each term's value in the last batch that was run."""
    last = jax.tree.map(lambda x: x[progress.next - 1], progress.means)
    return step.term_values(last)
