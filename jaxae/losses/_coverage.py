"""Which elements count, and how often: masks and weights over a prefix of the target's axes."""

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Count = Literal["weight", "valid", "nonzero", "all"]


class Coverage(NamedTuple):
    """A mask and weights, of the target's rank, so that they multiply from the left.

    Args:
        valid: True where an element is not masked; None if no mask was given.
        weights: how often an element counts; None if no weights were given.
    """

    valid: Bool[Array, "..."] | None
    weights: Float[Array, "..."] | None

    @property
    def present(self) -> Bool[Array, "..."] | None:
        """True where an element can touch the result: not masked, and its weight is not 0."""
        if self.weights is None:
            return self.valid
        nonzero = self.weights != 0
        return nonzero if self.valid is None else self.valid & nonzero

    def keep(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`x` where present, else 0; what is not present has an exactly zero gradient."""
        present = self.present
        return x if present is None else jnp.where(present, x, 0)

    def weigh(self, errors: Float[Array, "..."]) -> Float[Array, "..."]:
        """The errors as they enter the total: w·e where present, else 0."""
        errors = self.keep(errors)
        return errors if self.weights is None else self.keep(self.weights) * errors

    def counts(self, count: Count) -> Float[Array, "..."] | None:
        """How often each element enters the denominator; None if each does once."""
        if count == "all":
            return None
        if count == "weight" and self.weights is not None:
            return self.keep(self.weights)
        present = self.present if count == "nonzero" else self.valid
        return None if present is None else present.astype(jnp.float32)


def cover(
    where: Bool[Array, "..."] | None, weights: Array | None, target: Float[Array, "..."]
) -> Coverage:
    """The Coverage of one target by arguments that have been checked."""
    if weights is not None:
        weights = _align(weights, target).astype(target.dtype)
    return Coverage(None if where is None else _align(where, target), weights)


def denominator(
    counts: Float[Array, "..."] | None,
    unit: Literal["element", "sample"],
    target: Float[Array, "..."],
) -> Float[Array, ""]:
    """How often one sample enters the denominator.

    Of unit "element", the sum of its elements' counts. Of unit "sample", the largest of them: once
    if any element is present, w times if it has the weight w, never if every element is masked.
    """
    if counts is None:
        return jnp.asarray(target.size if unit == "element" else 1, target.dtype)
    counts = counts.astype(target.dtype)
    if unit == "sample":
        return counts.max(initial=0)
    return counts.sum() * (target.size // max(1, counts.size))


def _align(x: Array, target: Array) -> Array:
    return x.reshape(x.shape + (1,) * (target.ndim - x.ndim))
