"""One epoch, in pieces short enough to report, to save and to stop."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.objectives import Statistics
from jaxae.training._distributed import agreed
from jaxae.training._ensemble import Ensemble, mean_and_deviation
from jaxae.training._history import Epoch
from jaxae.training._layout import Layout
from jaxae.training._loop import (
    Chunk,
    Progress,
    Values,
    add,
    advance,
    batch_values,
    begin,
    chunk_summary,
    end_chunk,
    finite,
    nothing_done,
    values,
)
from jaxae.training._samples import Source
from jaxae.training._state import State
from jaxae.training._step import Step

# The loop comes back to Python about this often, for the progress bar and for signals.
SECONDS_A_PIECE = 0.5


class Stopped(Exception):  # noqa: N818
    """Training was asked to end before all epochs are done, and why."""


@dataclasses.dataclass(frozen=True)
class Program:
    """What is run: a step, over devices, on data.

    Args:
        step: what is done with each batch.
        layout: over which devices.
        train: what is trained on.
        test: what is evaluated after each epoch, or None.
    """

    step: Step | Ensemble
    layout: Layout
    train: Source
    test: Source | None


class Position(NamedTuple):
    """Where a run stands: all that it needs to go on, bit for bit.

    Args:
        epoch: which is running, counted from 1.
        chunk: which of its chunks is running, counted from 0.
        progress: how far that chunk has come.
        done: the summary of the epoch's chunks before it.
    """

    epoch: int
    chunk: int
    progress: Progress
    done: Statistics

    @property
    def arrays(self) -> tuple[Progress, Statistics]:
        """What of it is arrays."""
        return self.progress, self.done

    def batch(self, source: Source) -> int:
        """How many of the epoch's batches have been run."""
        return self.chunk * source.batches_a_chunk + int(self.progress.next)


class Watch(NamedTuple):
    """Who looks on while an epoch runs, after each piece.

    Args:
        report: is told epoch, batch, loss and samples per second.
        save: is told the position; it may write it.
        stop: says why training is to end, or None.
    """

    report: Callable[[int, int, float, float], None]
    save: Callable[[Position], None]
    stop: Callable[[], str | None]


def start(program: Program, state: State) -> Position:
    """The position before the first batch, everything compiled."""
    chunk = next(program.train.chunks(state.key, 1, 0))
    progress = begin(program.step, state, chunk)
    placed = program.layout.place(progress._replace(state=None))
    progress = placed._replace(state=state)
    progress = advance(program.step, program.layout, progress, chunk, jnp.int32(0))
    done = _nothing(program, progress)
    progress, done = end_chunk(program.step, progress, done)
    train = test = _values(program, done, state)
    if program.test is not None:
        summary = chunk_summary(program.step, program.layout, state, next(program.test.in_order()))
        test = _values(program, summary, state)
    jax.block_until_ready((progress, finite(state.params, train, test)))
    return Position(1, 0, progress, done)


def run_epoch(
    program: Program, position: Position, rate: float, watch: Watch
) -> tuple[Position, Epoch]:
    """The rest of an epoch: every training sample once, in an order of the epoch's own.

    Args:
        program: what is run.
        position: where it stands.
        rate: samples per second so far, 0 if unknown, which sizes the pieces.
        watch: who looks on.

    Returns:
        The position before the next epoch, and the epoch's row.

    Raises:
        FloatingPointError: a loss, or the parameters after the epoch, are not finite.
        Stopped: it was asked to end.
    """
    begun, first = time.perf_counter(), position.batch(program.train)
    key = position.progress.state.key
    for chunk in program.train.chunks(key, position.epoch, position.chunk):
        position, rate = _run_chunk(program, position, chunk, (begun, first, rate), watch)
    state, train = position.progress.state, _values(program, position.done, position.progress.state)
    test = None if program.test is None else _test_values(program, program.test, state)
    if not finite(state.params, train, test):
        raise FloatingPointError(_fault_after(program, position, train, test))
    row = _row(position.epoch, rate, state, train, test)
    nothing = _nothing(program, position.progress)
    return Position(position.epoch + 1, 0, position.progress, nothing), row


def _run_chunk(
    program: Program,
    position: Position,
    chunk: Chunk,
    pace: tuple[float, int, float],
    watch: Watch,
) -> tuple[Position, float]:
    """A chunk from where it stands to its end, and the rate at which the epoch has run."""
    begun, first, rate = pace
    batches = _batches(program.train, position.chunk)
    while (batch := int(position.progress.next)) < batches:
        piece = max(1, int(SECONDS_A_PIECE * rate / program.train.batch_size))
        stop = jnp.int32(min(batch + piece, batches))
        progress = advance(program.step, program.layout, position.progress, chunk, stop)
        position = position._replace(progress=jax.block_until_ready(progress))
        loss = np.asarray(progress.loss)
        run = position.batch(program.train)
        rate = agreed(_samples(program.train, first, run) / (time.perf_counter() - begun))
        watch.report(position.epoch, run, float(loss.mean()), rate)
        if not np.isfinite(loss).all():
            terms = batch_values(program.step, progress)
            raise FloatingPointError(_fault(program, position, "the loss", progress.loss, terms))
        if run == program.train.batches:
            break  # the epoch's end comes next, and is better to save and to stop at
        watch.save(position)
        reason = watch.stop()
        if reason is not None:
            raise Stopped(reason)
    progress, done = end_chunk(program.step, position.progress, position.done)
    return Position(position.epoch, position.chunk + 1, progress, done), rate


def _nothing(program: Program, progress: Progress) -> Statistics:
    """The summary of no chunk, where those of chunks will be."""
    return program.layout.place(nothing_done(program.step, progress))


def _batches(source: Source, chunk: int) -> int:
    return min(source.batches_a_chunk, source.batches - chunk * source.batches_a_chunk)


def _samples(source: Source, first: int, last: int) -> int:
    """How many samples there are in the batches from `first` up to `last`."""
    return min(source.samples, last * source.batch_size) - first * source.batch_size


def _test_values(program: Program, test: Source, state: State) -> Values:
    summaries = (
        chunk_summary(program.step, program.layout, state, chunk) for chunk in test.in_order()
    )
    return _values(program, functools.reduce(add, summaries), state)


def _values(program: Program, summary: Statistics, state: State) -> Values:
    return values(program.step, summary, state.step)


def _row(epoch: int, rate: float, state: State, train: Values, test: Values | None) -> Epoch:
    """An epoch's row; of many models their means, and the deviations of those."""
    parts = {"train": train} if test is None else {"train": train, "test": test}
    numbers = {f"{part}_loss": x.loss for part, x in parts.items()}
    terms = {part: {f"{part}_{n}": v for n, v in x.terms.items()} for part, x in parts.items()}
    means, deviations = mean_and_deviation({**numbers, **terms["train"], **terms.get("test", {})})
    return Epoch(
        epoch,
        means["train_loss"],
        means.get("test_loss"),
        rate,
        train_terms={name: means[f"train_{name}"] for name in train.terms},
        test_terms={} if test is None else {name: means[f"test_{name}"] for name in test.terms},
        updates=int(np.max(state.step)),
        skipped=int(np.sum(state.skipped)),
        deviation=deviations,
    )


def _fault_after(program: Program, position: Position, train: Values, test: Values | None) -> str:
    """What is not finite after an epoch."""
    for what, values_of in (("the training loss", train), ("the test loss", test)):
        if values_of is not None and not finite(values_of):
            return _fault(program, position, what, values_of, values_of.terms)
    return _fault(program, position, "one of the parameters", position.progress.state.params, {})


def _fault(
    program: Program, position: Position, what: str, numbers: Any, terms: Mapping[str, Any]
) -> str:
    """What is not finite, of which models where there are several, where, and in which term."""
    guilty = [f"{n} = {x}" for n, x in terms.items() if not jnp.isfinite(x).all()]
    batch, update = position.batch(program.train), int(np.max(position.progress.state.step))
    where = f" ({', '.join(guilty)})" if guilty else ""
    return (
        f"{what}{_of_models(program, numbers)} is not finite in update {update}{where}, batch "
        f"{batch} of epoch {position.epoch}; lower the learning rate, or drop such updates with "
        "on_nonfinite='skip'"
    )


def _of_models(program: Program, numbers: Any) -> str:
    """Of which models, counted from 0, some numbers are not finite; nothing where there is one."""
    if not isinstance(program.step, Ensemble):
        return ""
    broken = ~np.asarray(program.layout.local(jax.vmap(finite)(numbers)))
    return f" of model {', '.join(map(str, broken.nonzero()[0]))}"
