"""The merge: statistics of single samples, added over samples, finished last."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses import Mean, Rows, Statistic
from jaxae.objectives._term import Objective, Term, View

Statistics = dict[str, Statistic]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples along the leading axis; without that axis, one sample.

    Args:
        input: what the model is given, an array or a tree of them.
        target: what its prediction is compared with, an array or a tree of them.
        index: each sample's index in the data, which its noise belongs to.
        weight: how often a sample counts: 0 for padding, else 1.
    """

    input: Any
    target: Any
    index: Any
    weight: Any


def sample_statistics(
    objective: Objective, model: Any, sample: Batch, key: PRNGKeyArray
) -> Statistics:
    """The statistics of ONE sample's terms, each counted as often as the sample is.

    Its random key belongs to its index, not to its place in the batch.

    Raises:
        TypeError: a term that returns something else than a Mean, a Total or Rows.
    """
    key = jax.random.fold_in(key, sample.index)
    outputs = model(sample.input, key=key)
    view = View(model, sample.input, sample.target, outputs, key)
    statistics = {name: term.sample(view) for name, term in objective.items()}
    for name, statistic in statistics.items():
        if not isinstance(statistic, Statistic):
            raise TypeError(
                f"term {name!r} returned {type(statistic).__name__}, expected a Mean, a Total or "
                "Rows; write e.g. Mean(total, weight)"
            )
    return {name: statistic.scale(sample.weight) for name, statistic in statistics.items()}


def batch_statistics(
    objective: Objective, model: Any, batch: Batch, key: PRNGKeyArray
) -> Statistics:
    """The merged statistics of a batch; those of parts of the data add.

    What a sample of weight 0 holds, even NaN, cannot touch them.
    """

    def one(sample: Batch) -> Statistics:
        return sample_statistics(objective, model, sample, key)

    statistics = jax.vmap(one)(_fill_absent(batch))
    return {name: statistic.merge() for name, statistic in statistics.items()}


def finish(objective: Objective, statistics: Statistics) -> Float[Array, ""]:
    """The objective's value: its finished terms times their coefficients, summed.

    Args:
        objective: the terms.
        statistics: their merged statistics, by name.

    Returns:
        A scalar.

    Raises:
        ValueError: a term whose finished value is not a scalar.
    """
    return _sum({n: t.finish(statistics[n].value) for n, t in objective.items()}, objective)


def finish_batches(objective: Objective, statistics: Statistics) -> Float[Array, ""]:
    """The objective over batches, from each batch's merged statistics, stacked.

    Statistics that add are merged over the batches and finished last. A function of pairs of
    samples is averaged over the batches instead, by how much they count: over all of the data its
    cost would be the square of their number.

    Takes the same arguments, along one more axis, and raises the same errors as `finish`.
    """
    return _sum({n: _over_batches(t, statistics[n]) for n, t in objective.items()}, objective)


def _over_batches(term: Term, statistics: Statistic) -> Array:
    if not isinstance(statistics, Rows):
        return term.finish(statistics.merge().value)
    values = jax.lax.map(lambda rows: term.finish(rows.value), statistics)
    weight = statistics.weight.sum(1)
    return Mean((weight * values).sum(), weight.sum()).value


def _sum(finished: dict[str, Array], objective: Objective) -> Array:
    for name, value in finished.items():
        if value.shape != ():
            raise ValueError(
                f"term {name!r} finishes with shape {value.shape}, expected a scalar; write e.g. "
                "finish=jnp.sum"
            )
    return functools.reduce(jnp.add, (t.coefficient * finished[n] for n, t in objective.items()))


def _fill_absent(batch: Batch) -> Batch:
    """Samples of weight 0 replaced by one that counts, at which model and terms are defined."""
    present = batch.weight != 0
    if not present.size:
        return batch
    donor = jnp.argmax(present)

    def fill(x: Array) -> Array:
        mask = present.reshape(present.shape + (1,) * (x.ndim - 1))
        return jnp.where(mask, x, jnp.where(present[donor], x[donor], jnp.zeros_like(x[donor])))

    inputs, targets = (jax.tree.map(fill, x) for x in (batch.input, batch.target))
    return dataclasses.replace(batch, input=inputs, target=targets)
