"""The merge: statistics of single samples, added over samples, finished last."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses import Mean, Rows, Statistic
from jaxae.objectives._batch import Batch, filled
from jaxae.objectives._term import Objective, Term, View

Statistics = dict[str, Statistic]


def sample_statistics(
    objective: Objective, model: Any, sample: Batch, key: PRNGKeyArray
) -> Statistics:
    """The statistics of ONE sample's terms and of its model, each counted as the sample is.

    Its random key belongs to its index, not to its place in the batch.

    Raises:
        TypeError: a term that returns something else than a Mean, a Total or Rows.
        ValueError: a statistic of the model that is called what a term is.
    """
    key = jax.random.fold_in(key, sample.index)
    coupled = {} if axis_name_of(model) is None else {"weight": sample.weight}
    outputs = model(sample.input, key=key, **coupled)
    view = View(model, sample.input, sample.target, outputs, key)
    statistics = {name: term.sample(view) for name, term in objective.items()}
    own = getattr(model, "statistics", None)
    for name, statistic in ({} if own is None else own(outputs)).items():
        if name in statistics:
            raise ValueError(f"the model has a statistic {name!r}, and so is a term called")
        statistics[name] = statistic
    for name, statistic in statistics.items():
        if not isinstance(statistic, Statistic):
            raise TypeError(
                f"term {name!r} returned {type(statistic).__name__}, expected a Mean, a Total or "
                "Rows; write e.g. Mean(total, weight)"
            )
    return {name: statistic.scale(sample.weight) for name, statistic in statistics.items()}


def axis_name_of(model: Any) -> str | None:
    """The axis over which a model couples samples in its forward pass; None if it does not."""
    return getattr(model, "axis_name", None)


def batch_statistics(
    objective: Objective, model: Any, batch: Batch, key: PRNGKeyArray, *, fill: bool = True
) -> Statistics:
    """The merged statistics of a batch; those of parts of the data add.

    Args:
        objective: the terms.
        model: what they are of.
        batch: the samples.
        key: a random key.
        fill: whether samples of weight 0 may hold anything, even NaN, which then cannot touch the
            statistics; False where they are defined.
    """

    def one(sample: Batch) -> Statistics:
        return sample_statistics(objective, model, sample, key)

    batch = filled(batch) if fill else batch
    axis_name = axis_name_of(model)
    each = jax.vmap(one) if axis_name is None else jax.vmap(one, axis_name=axis_name)
    return {name: statistic.merge() for name, statistic in each(batch).items()}


def term_values(objective: Objective, statistics: Statistics) -> dict[str, Float[Array, ""]]:
    """Each term's finished value, without its coefficient.

    Args:
        objective: the terms.
        statistics: their merged statistics, or their summaries over batches, by name.

    Raises:
        ValueError: a term whose finished value is not a scalar.
    """
    return {name: _scalar(name, _finished(t, statistics[name])) for name, t in objective.items()}


def summary(objective: Objective, statistics: Statistics) -> Statistics:
    """What is known of batches, from each one's merged statistics, stacked; summaries add.

    Statistics that add are merged over the batches, to be finished last. A function of pairs of
    samples is averaged over the batches instead, by how much they count: over all of the data its
    cost would be the square of their number.
    """
    return {name: _over_batches(term, statistics[name]) for name, term in objective.items()}


def batch_summary(objective: Objective, statistics: Statistics) -> Statistics:
    """What is known of one batch, from its merged statistics, without its samples."""
    return {name: _of_batch(term, statistics[name]) for name, term in objective.items()}


def total(objective: Objective, values: dict[str, Array], step: ArrayLike = 0) -> Float[Array, ""]:
    """The objective's value: its terms' values times their coefficients, summed.

    Args:
        objective: the terms.
        values: theirs, by name.
        step: the count of updates, which schedules of coefficients depend on.
    """
    parts = (t.coefficient_at(step) * values[name] for name, t in objective.items())
    return jnp.asarray(functools.reduce(jnp.add, parts))


def finish(objective: Objective, statistics: Statistics, step: ArrayLike = 0) -> Float[Array, ""]:
    """The objective's value, from its terms' merged statistics.

    Takes what `term_values` and `total` take, and raises the same errors.
    """
    return total(objective, term_values(objective, statistics), step)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FinishedMean(Mean):
    """A mean over batches of what a term came to in each."""


def _over_batches(term: Term, statistics: Statistic) -> Statistic:
    if isinstance(statistics, Rows):
        statistics = jax.lax.map(lambda rows: _of_batch(term, rows), statistics)
    return statistics.merge()


def _of_batch(term: Term, statistic: Statistic) -> Statistic:
    if not isinstance(statistic, Rows):
        return statistic
    weight = statistic.weight.sum()
    return FinishedMean(weight * term.finish(statistic.value), weight)


def _finished(term: Term, statistic: Statistic) -> Array:
    return statistic.value if isinstance(statistic, FinishedMean) else term.finish(statistic.value)


def _scalar(name: str, value: Array) -> Array:
    if value.shape != ():
        raise ValueError(
            f"term {name!r} finishes with shape {value.shape}, expected a scalar; write e.g. "
            "finish=jnp.sum"
        )
    return value
