"""A batch: samples, what their noise belongs to, and how often each counts."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


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


def filled(batch: Batch) -> Batch:
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
