"""Functions of batch means: one mean for each feature, and a function of them after the merge."""

import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from jaxae.losses._base import BaseLoss
from jaxae.losses._coverage import Count
from jaxae.losses._error import name_of
from jaxae.losses._hyperparameters import check_choice
from jaxae.losses._mean import Mean, Sums


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Means(Sums):
    """A mean for each feature that is not divided yet, and whether anything counts in it.

    Args:
        total: Σ w·m·e of each feature, an array of one sample's shape.
        weight: what each total is divided by, of the same shape.
        presence: how often each feature is neither masked nor of weight 0, of the same shape.

    Example:
        >>> first = Means(jnp.array([6.0, 0.0]), jnp.array([3.0, 0.0]), jnp.array([1.0, 0.0]))
        >>> means, present = (first + first).value
        >>> means.tolist(), present.tolist()
        ([2.0, 0.0], [True, False])
    """

    total: Any
    weight: Any
    presence: Any

    @property
    def value(self) -> tuple[Float[Array, "..."], Bool[Array, "..."]]:
        """The means, 0 where the weight is 0, and where anything counts."""
        return Mean(self.total, self.weight).value, self.presence != 0


@dataclasses.dataclass(frozen=True, repr=False)
class FeatureMeans(BaseLoss):
    """A function of the batch means of an error's features: finisher(Σ w·m·e / Σ what counts).

    A feature is a place in the sample, such as a latent number, and has a mean over the batch. The
    finisher is applied after the merge, so the loss is exact however the data are cut; a mean of
    the losses of parts of the data would be another number. `per_sample` is the loss of a batch of
    one sample. Its unit is the finisher's.

    Args:
        error: a pure function of arrays, elementwise unless marked.
        finisher: maps the features' means, and an array of the same shape that is True where
            anything counts in them, to a scalar. It leaves the others out, so that a batch that is
            masked altogether gives 0. Hashable: a function, or a frozen dataclass.
        count: what a feature's mean is divided by, as for a `Loss`.

    Raises:
        ValueError: an unknown count; when called, an error that is not elementwise.

    Example:
        >>> def spread(means, present):
        ...     return jnp.max(means, where=present, initial=0)
        >>> largest = FeatureMeans(lambda code: code * code, spread)
        >>> float(largest(jnp.array([[1.0, 2.0], [3.0, 0.0]])))
        5.0
    """

    finisher: Callable[[Array, Array], Array]
    count: Count = "weight"

    def __post_init__(self):
        super().__post_init__()
        check_choice("count", self.count, get_args(Count))

    def __repr__(self) -> str:
        error, finisher = name_of(self.error), name_of(self.finisher)
        return f"FeatureMeans({error}, {finisher}, count={self.count!r})"

    def mean(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Means:
        """The features of ONE sample before the division.

        Takes the same arguments and raises the same errors as `Loss.mean`.
        """
        converted, coverage = self.converted(arrays, where, weights)
        errors = self.errors(*coverage.cover(converted))
        coverage = coverage.of_events(errors.ndim)
        ones = jnp.ones_like(errors)
        counts = coverage.counts(self.count)
        if counts is not None:
            counts = counts.astype(errors.dtype)
            counts = counts.reshape(counts.shape + (1,) * (errors.ndim - counts.ndim)) * ones
        weight = ones if counts is None else counts
        return Means(coverage.weigh(errors), weight, coverage.keep(ones))

    def finish(self, value: Any) -> Float[Array, ""]:
        """The finisher's scalar, from the features' means and whether anything counts in them."""
        return self.finisher(*value)
