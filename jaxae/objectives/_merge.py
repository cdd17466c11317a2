"""The merge: statistics of single samples, added over samples, finished last."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses import Statistic
from jaxae.objectives._term import Objective, View

Statistics = dict[str, Statistic]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples along the leading axis; without that axis, one sample.

    Args:
        input: what the model is given.
        target: what its prediction is compared with.
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

    A sample of weight 0 enters as zeros, so that not even a NaN in it can touch the result. Its
    random key belongs to its index, not to its place in the batch.
    """
    key = jax.random.fold_in(key, sample.index)
    x, y = (jnp.where(sample.weight != 0, a, 0) for a in (sample.input, sample.target))
    view = View(model, x, y, model(x, key=key), key)
    return {name: term.sample(view).scale(sample.weight) for name, term in objective.items()}


def batch_statistics(
    objective: Objective, model: Any, batch: Batch, key: PRNGKeyArray
) -> Statistics:
    """The merged statistics of a batch; those of parts of the data add."""

    def one(sample):
        return sample_statistics(objective, model, sample, key)

    return {name: statistic.merge() for name, statistic in jax.vmap(one)(batch).items()}


def finish(objective: Objective, statistics: Statistics) -> Float[Array, ""]:
    """The objective's value: its finished terms times their coefficients, summed.

    Args:
        objective: the terms.
        statistics: their merged statistics, by name.

    Returns:
        A scalar.
    """
    return sum(
        (
            term.coefficient * term.finish(statistics[name].value)
            for name, term in objective.items()
        ),
        start=jnp.float32(0),
    )
