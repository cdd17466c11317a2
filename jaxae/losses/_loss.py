"""A loss: an elementwise error, written for one sample, added over samples, divided last."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._arguments import Arguments, convert
from jaxae.losses._coverage import Count, cover, denominator
from jaxae.losses._likelihood import identity, link_of
from jaxae.losses._mean import Mean, Statistic, Total

Unit = Literal["element", "sample", "total"]


@dataclasses.dataclass(frozen=True, repr=False)
class Loss:
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
        error: e(prediction, target), elementwise, of any shape; a pure function of arrays.
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

    error: Callable[[Array, Array], Array]
    unit: Unit = "element"
    count: Count = "weight"
    name: str = dataclasses.field(default="", init=False, compare=False)

    def __post_init__(self):
        for name, options in (("unit", get_args(Unit)), ("count", get_args(Count))):
            if getattr(self, name) not in options:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, expected one of {', '.join(options)}"
                )

    def __repr__(self) -> str:
        error = getattr(self.error, "__name__", repr(self.error))
        return f"Loss({error}, unit={self.unit!r}, count={self.count!r})"

    def documented(self, name: str, meaning: str) -> "Loss":
        """This loss with a name and a docstring of its own, which `help` shows.

        The docstring is `meaning` with the signature after its first line and the arguments of
        `Loss.__call__` before its example. Neither is part of what makes two losses equal.
        """
        first, _, rest = inspect.cleandoc(meaning).partition("\n")
        text, heading, example = rest.partition("\nExample:")
        prediction = "predictions" if link_of(self.error) is identity else "logits"
        signature = f"{name}({prediction}, targets, *, where=None, weights=None) → scalar"
        arguments = inspect.cleandoc(Loss.__call__.__doc__ or "").partition("\n")[2]
        doc = f"{first}\n\n{signature}\n{text}{arguments}\n{heading}{example}"
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "__doc__", doc)
        return self

    def mean(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        /,
        *,
        where: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Statistic:
        """The loss of ONE sample before the division, as a Mean (a Total if the unit is "total").

        Args:
            prediction: one sample's prediction, floating point, of any shape.
            target: its target, of the same shape.
            where: bool, True where an element counts, over a prefix of the target's axes.
            weights: non-negative, how often an element counts, over a prefix of the target's axes.

        Returns:
            The Mean whose total is Σ w·m·e and whose weight is what the unit and count say.

        Raises:
            TypeError: an integer prediction, or a `where` that is not boolean.
            ValueError: shapes that differ, or that are not a prefix.
        """
        arguments = Arguments.of(prediction, target, where, weights)
        arguments.check()
        p, t = convert(arguments.prediction, arguments.target)
        coverage = cover(arguments.where, arguments.weights, t)
        errors = coverage.weigh(self._elementwise(coverage.keep(p), coverage.keep(t)))
        if self.unit == "total":
            return Total(errors.sum())
        return Mean(errors.sum(), denominator(coverage.counts(self.count), self.unit, t))

    def per_sample(
        self,
        predictions: ArrayLike,
        targets: ArrayLike,
        /,
        *,
        where: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Float[Array, " N"]:
        """Each sample's own loss, shape (N,): `mean(...).value` under `jax.vmap`.

        Takes the same arguments and raises the same errors as calling the loss.
        """
        return self._over_batch(_value, predictions, targets, where, weights)

    def merged(
        self,
        predictions: ArrayLike,
        targets: ArrayLike,
        /,
        *,
        where: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Statistic:
        """The batch's Mean before the division; the Means of parts of the data add.

        Takes the same arguments and raises the same errors as calling the loss.

        Example:
            >>> import jax.numpy as jnp
            >>> from jaxae.losses import mse
            >>> A, Y = jnp.arange(10.0).reshape(5, 2), jnp.zeros((5, 2))
            >>> float((mse.merged(A[:4], Y[:4]) + mse.merged(A[4:], Y[4:])).value), float(mse(A, Y))
            (28.5, 28.5)
        """
        return self._over_batch(_merge, predictions, targets, where, weights)

    def __call__(
        self,
        predictions: ArrayLike,
        targets: ArrayLike,
        /,
        *,
        where: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Float[Array, ""]:
        """The loss of a batch, a scalar: Σ w·m·e over what the unit and count say.

        Args:
            predictions: shape (N, ...), floating point; float16 and bfloat16 become float32 first.
            targets: the same shape; integers and booleans are converted.
            where: bool, True where an element counts, over a prefix of the targets' axes: (N,) for
                samples, (N, T) for steps. What is masked cannot touch the result, not even by NaN.
            weights: non-negative, over a prefix of the targets' axes.

        Returns:
            A scalar, float32, or float64 if predictions or targets are; where everything is masked,
            0 with zero gradient.

        Raises:
            TypeError: integer predictions, or a `where` that is not boolean.
            ValueError: shapes that differ, that are not a prefix, or that have no sample axis.
        """
        return self._over_batch(_merged_value, predictions, targets, where, weights)

    def _elementwise(self, prediction: Array, target: Array) -> Array:
        errors = self.error(prediction, target)
        if errors.shape != target.shape or not jnp.issubdtype(errors.dtype, jnp.floating):
            raise ValueError(
                f"the error of {self} returned {errors.dtype} of shape {errors.shape}, expected "
                f"{target.dtype} of shape {target.shape}: one number for each element"
            )
        return errors

    def _over_batch(
        self,
        finish: Callable[[Statistic], Any],
        predictions: ArrayLike,
        targets: ArrayLike,
        where: ArrayLike | None,
        weights: ArrayLike | None,
    ) -> Any:
        arguments = Arguments.of(predictions, targets, where, weights)
        arguments.check_batch()
        return _compiled(self, finish, arguments)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compiled(loss: Loss, finish: Callable[[Statistic], Any], arguments: Arguments) -> Any:
    def mean(one: Arguments) -> Statistic:
        return loss.mean(one.prediction, one.target, where=one.where, weights=one.weights)

    return finish(jax.vmap(mean)(arguments))


def _value(statistic: Statistic) -> Array:
    return statistic.value


def _merge(statistic: Statistic) -> Statistic:
    return statistic.merge()


def _merged_value(statistic: Statistic) -> Array:
    return statistic.merge().value
