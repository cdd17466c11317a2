"""A loss: an elementwise error, written for one sample, added over samples, divided last."""

import dataclasses
from typing import Literal, get_args

from jax.typing import ArrayLike

from jaxae.losses._base import BaseLoss
from jaxae.losses._coverage import Count, denominator
from jaxae.losses._error import event_of, name_of
from jaxae.losses._hyperparameters import check_choice
from jaxae.losses._masking import masked_errors
from jaxae.losses._mean import Mean, Statistic, Total

Unit = Literal["element", "sample", "total"]


@dataclasses.dataclass(frozen=True, repr=False)
class Loss(BaseLoss):
    """An elementwise error with a denominator that is named: Σ w·m·e / Σ what counts.

    The sum is always the same: over every element, the error e times its weight w and mask m. What
    libraries disagree about is the denominator, and it has two parts:

    ============ =========================================================================
    unit         what counts
    ============ =========================================================================
    "element"    every number: SSE/(N·C), the mean of Keras, torch and scikit-learn
    "sample"     every sample: summed over features, averaged over samples
    "total"      nothing: the sum itself, divided by nothing
    ============ =========================================================================

    ============ =========================================================================
    count        how often it counts
    ============ =========================================================================
    "weight"     Σ w: weight 0 is absent, weight 2 is twice
    "valid"      as often as it is not masked, whatever its weight (Keras 3 with a mask)
    "nonzero"    as often as it is neither masked nor of weight 0 (Keras 2.2)
    "all"        always, masked or not (Keras 3 `sum_over_batch_size` without a mask, torch)
    ============ =========================================================================

    A sample of unit "sample" counts as often as its heaviest element. The mean of per-sample means
    over ragged samples is `Loss(error, unit="sample", count="valid")` with `weights` 1 / (number of
    valid elements).

    Losses are frozen, comparable and hashable: an equal loss built again is not compiled again.

    Args:
        error: e(prediction, target), elementwise, of any shape; a pure function of arrays. One that
            is not elementwise is marked with `@takes`; the names of its parameters are used in
            messages.
        unit: what the denominator counts.
        count: how often it counts it.

    Raises:
        ValueError: an unknown unit or count; when called, an error that is not elementwise.

    Example:
        >>> import jax.numpy as jnp
        >>> A, Y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1.0, 1.0], [1.0, 1.0]])
        >>> cubes = Loss(lambda prediction, target: abs(prediction - target) ** 3, unit="sample")
        >>> cubes.per_sample(A, Y).tolist(), float(cubes(A, Y))
        ([1.0, 35.0], 18.0)
        >>> float(cubes(A, Y, weights=jnp.array([3.0, 1.0])))
        9.5
    """

    unit: Unit = "element"
    count: Count = "weight"

    def __post_init__(self):
        super().__post_init__()
        check_choice("unit", self.unit, get_args(Unit))
        check_choice("count", self.count, get_args(Count))

    def __repr__(self) -> str:
        return f"Loss({name_of(self.error)}, unit={self.unit!r}, count={self.count!r})"

    def mean(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Statistic:
        """The loss of ONE sample before the division, as a Mean (a Total if the unit is "total").

        Args:
            *arrays: what the error takes: one sample's prediction, then its target.
            where: bool, True where an element counts, over a prefix of the target's axes.
            weights: non-negative, how often an element counts, over a prefix of the target's axes.

        Returns:
            The Mean whose total is Σ w·m·e and whose weight is what the unit and count say.

        Raises:
            TypeError: an integer prediction, or a `where` that is not boolean.
            ValueError: shapes that differ, or that are not a prefix.
        """
        converted, coverage = self.converted(arrays, where, weights)
        errors = masked_errors(self.errors, converted, coverage, event_of(self.error))
        total, coverage = errors.sum(), coverage.of_events(errors.ndim)
        if self.unit == "total":
            return Total(total)
        return Mean(total, denominator(coverage.counts(self.count), self.unit, errors))
