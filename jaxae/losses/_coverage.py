"""Which elements count, and how often: masks and weights over a prefix of an array's axes."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxae.losses._error import Masking
from jaxae.losses._fusion import apart

Count = Literal["weight", "valid", "nonzero", "all"]


class Coverage(NamedTuple):
    """A mask and weights; each belongs to the leading axes of whatever it is applied to.

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
        if self.valid is None:
            return nonzero
        rank = max(self.valid.ndim, nonzero.ndim)
        return _align(self.valid, rank) & _align(nonzero, rank)

    def of_events(self, rank: int) -> "Coverage":
        """The coverage of errors of this rank: an event is present if any number in it is."""
        if self.valid is None or self.valid.ndim <= rank:
            return self
        return self._replace(valid=self.valid.any(tuple(range(rank, self.valid.ndim))))

    def keep(self, x: Array) -> Array:
        """`x` where present, else 0; what is not present has an exactly zero gradient."""
        present = self.present
        if present is None:
            return x
        # As numbers: XLA on CPU does not vectorise a choice by flags beside a logarithm.
        numbers = _align(present, x.ndim).astype(jnp.float32)
        return jnp.where(numbers != 0, x, 0)

    def cover(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """The arrays where present, else 0."""
        return tuple(self.keep(x) for x in arrays)

    def weigh(
        self, errors: Float[Array, "..."], masking: Masking = "choice"
    ) -> Float[Array, "..."]:
        """The errors as they enter the total: w·e where present, else 0."""
        coverage = self.of_events(errors.ndim)
        if masking in ("choice", "slopes"):
            errors = coverage.keep(errors)
        if coverage.weights is not None:
            return coverage._kept_weights(errors.ndim) * errors
        if masking != "product" or coverage.valid is None:
            return errors
        # As numbers in memory: XLA on CPU adds up no product with what it converts as it goes.
        return apart(_align(coverage.valid, errors.ndim).astype(errors.dtype)) * errors

    def counts(self, count: Count) -> Array | None:
        """How often each element enters the denominator, or whether; None if each does once."""
        if count == "all":
            return None
        if count == "weight" and self.weights is not None:
            rank = max(self.weights.ndim, 0 if self.valid is None else self.valid.ndim)
            return self._kept_weights(rank)
        return self.present if count == "nonzero" else self.valid

    def _kept_weights(self, rank: int) -> Array:
        assert self.weights is not None
        return self.keep(_align(self.weights, rank))


def denominator(
    counts: Array | None,
    unit: Literal["element", "sample"],
    errors: Float[Array, "..."],
) -> Float[Array, ""]:
    """How often one sample enters the denominator.

    Of unit "element", the sum of its elements' counts. Of unit "sample", the largest of them: once
    if any element is present, w times if it has the weight w, never if every element is masked.
    """
    if counts is None:
        return jnp.asarray(errors.size if unit == "element" else 1, errors.dtype)
    flags = counts.dtype == jnp.bool_
    if unit == "sample":
        return counts.any().astype(errors.dtype) if flags else counts.max(initial=0)
    whole = number_of(counts, errors.dtype) if flags else counts.sum()
    return whole * (errors.size // max(1, counts.size))


def number_of(flags: Bool[Array, "..."], dtype: Any) -> Float[Array, ""]:
    """How many are True, in a floating dtype.

    Bytes are added to bytes first, sixteen of them: XLA on CPU writes four bytes for each flag
    before it adds floats, which takes longer than to add the errors.
    """
    flags = apart(flags).reshape(-1)  # of a constant mask, XLA would add slowly while it compiles
    sixteens = jnp.pad(flags, (0, -flags.size % 16)).reshape(16, -1)
    return sixteens.sum(0, dtype=jnp.uint8).astype(dtype).sum()


def _align(x: Array, rank: int) -> Array:
    """`x` with axes of length 1 behind it, so that it multiplies from the left."""
    return x.reshape(x.shape + (1,) * (rank - x.ndim))
