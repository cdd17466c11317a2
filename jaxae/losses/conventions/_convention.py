"""A convention: what a library multiplies the sum of the errors by, and divides it by."""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxae.losses._arguments import Arguments
from jaxae.losses._coverage import Count, Coverage
from jaxae.losses._error import ELEMENT
from jaxae.losses._hyperparameters import (
    as_tuple,
    check_choice,
    check_positive,
    store_python_numbers,
)
from jaxae.losses._loss import Loss, Unit
from jaxae.losses.conventions._scaled import Error, check_error, scaled

NotReduced = Literal["none"]


@dataclasses.dataclass(frozen=True)
class Convention:
    """What a library prints for an error: factor · Σ w·m·e / what unit and count say.

    Called with an error it builds the `Loss`, which adds over parts of the data, differentiates and
    takes masks and weights as every loss does. A library that does not reduce has the unit "none":
    then what is built is the error itself, times the factor.

    Args:
        name: of the library, and of the version where it matters.
        meaning: the formula, in one line; ℓ is the error, w the weights, m the mask, N the samples,
            C the features.
        source: the file or page that it was read from, and its version.
        unit: what the denominator counts, as in `Loss`; "none" where nothing is reduced.
        count: how often it counts it. "weight" where the library knows no weights and no masks.
        factor: what the error is multiplied by.

    Raises:
        ValueError: an unknown unit or count, or a factor that is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import squared_error
        >>> half = Convention("mine", "½ Σ ℓ / N", "my thesis", unit="sample", factor=0.5)
        >>> half(squared_error)
        Loss(0.5·squared_error, unit='sample', count='weight')
        >>> float(half(squared_error)(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.zeros((2, 2))))
        7.5
    """

    name: str
    meaning: str
    source: str
    unit: Unit | NotReduced = "element"
    count: Count = "weight"
    factor: float = 1.0

    def __post_init__(self):
        check_choice("unit", self.unit, (*get_args(Unit), *get_args(NotReduced)))
        check_choice("count", self.count, get_args(Count))
        check_positive("factor", self.factor)
        store_python_numbers(self)

    def __call__(self, error: Error) -> Any:
        """The loss that the library computes from this error.

        Args:
            error: a pure function of arrays, e.g. `squared_error`.

        Returns:
            A Loss; where the unit is "none", the error itself, times the factor.

        Raises:
            TypeError: an error that is no function.
        """
        check_error(error)
        error = scaled(error, self.factor)
        return error if self.unit == "none" else Loss(error, self.unit, self.count)

    def multiplier(
        self,
        shape: Sequence[int],
        where: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        *,
        error: Error | None = None,
    ) -> Fraction:
        """What the sum Σ w·m·e is multiplied by: factor / denominator, exactly.

        Args:
            shape: of the errors of a whole batch, (N, ...).
            where: the batch's mask, over a prefix of the shape.
            weights: the batch's weights, over a prefix of the shape.
            error: the error, where it is not elementwise and the convention asks which it is:
                `KERAS_3_SUM` does.

        Returns:
            A rational number. Weights enter as the float32 numbers that a loss reads.

        Raises:
            TypeError: a shape that is no sequence; a mask that is not boolean, as a loss raises it;
                an error that is no function.
            ValueError: the library does not reduce; a shape of anything but whole numbers above 0;
                a mask or weights of a shape that is not a prefix; nothing counts.
        """
        if self.unit == "none":
            raise ValueError(
                f"{self.name} does not reduce: it has one number for each element and divides by "
                "nothing; compare a convention that reduces, e.g. TORCH_MEAN"
            )
        if error is not None:
            check_error(error)
        shape = _checked(shape)
        denominator = self._denominator(shape, _coverage(shape, where, weights), error)
        if denominator == 0:
            raise ValueError(f"nothing counts in {self.name}: everything is masked or weighs 0")
        return Fraction(self.factor) / denominator

    def _denominator(
        self, shape: tuple[int, ...], coverage: Coverage, error: Error | None
    ) -> Fraction:
        if self.unit == "total":
            return Fraction(1)
        counts = coverage.counts(self.count)
        if counts is None:
            return Fraction(math.prod(shape) if self.unit == "element" else shape[0])
        if self.unit == "sample":
            return exact_sum(counts.reshape(shape[0], -1).max(1))
        return exact_sum(counts) * (math.prod(shape) // max(1, counts.size))


def constant(
    a: Convention,
    b: Convention,
    shape: Sequence[int],
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    error: Error | None = None,
) -> Fraction:
    """How many times a's number b's is: value_b / value_a, the same whatever the predictions.

    Args:
        a: the convention of the number at hand.
        b: the convention of the number that is wanted.
        shape: of the errors of a whole batch, (N, ...): the targets' shape, where the error is
            elementwise.
        where: the batch's mask, bool, over a prefix of the shape.
        weights: the batch's weights, over a prefix of the shape.
        error: the error, where it is not elementwise and a or b is `KERAS_3_SUM`, whose number
            depends on it.

    Returns:
        An exact rational number; `float` makes a number of it.

    Raises:
        TypeError: what is no Convention, a shape that is no sequence, a mask that is not boolean.
        ValueError: a convention that does not reduce, a shape of anything but whole numbers above
            0, a mask or weights of a shape that is not a prefix, or nothing that counts.

    Example:
        >>> from jaxae.losses.conventions import PYTHAE_VAE, TORCH_MEAN
        >>> constant(TORCH_MEAN, PYTHAE_VAE, (100, 784))
        Fraction(392, 1)
        >>> from jaxae.losses import categorical_cross_entropy_from_classes
        >>> from jaxae.losses.conventions import KERAS_3_SUM, TORCH_SUM
        >>> constant(TORCH_SUM, KERAS_3_SUM, (6, 4))
        Fraction(1, 4)
        >>> constant(TORCH_SUM, KERAS_3_SUM, (6, 4), error=categorical_cross_entropy_from_classes)
        Fraction(1, 1)
    """
    check_convention("a", a)
    check_convention("b", b)
    wanted, at_hand = (c.multiplier(shape, where, weights, error=error) for c in (b, a))
    return wanted / at_hand


def exact_sum(x: Array) -> Fraction:
    """The sum of an array: ones are counted, and what is neither 0 nor 1 is rounded once."""
    if x.dtype == jnp.bool_:
        return Fraction(int(jnp.count_nonzero(x)))
    others = x[(x != 0) & (x != 1)]
    return int(jnp.count_nonzero(x == 1)) + Fraction(math.fsum(others.tolist()))


def check_convention(name: str, value: Any) -> None:
    """Raise unless an argument is a convention, and not its name."""
    if not isinstance(value, Convention):
        raise TypeError(f"{name} is {value!r}, expected a Convention, e.g. conventions.KERAS_3")


def _checked(shape: Any) -> tuple[int, ...]:
    lengths = as_tuple("shape", shape)
    if not all(isinstance(n, numbers.Integral) and int(n) > 0 for n in lengths):
        raise ValueError(
            f"shape is {shape}, expected whole numbers above 0, (N, ...): the shape of a whole "
            "batch's errors"
        )
    return tuple(int(n) for n in lengths)


def _coverage(
    shape: tuple[int, ...], where: ArrayLike | None, weights: ArrayLike | None
) -> Coverage:
    """A mask and weights, checked as a loss checks them beside errors of this shape."""

    def check(errors: Array) -> None:
        arguments = Arguments.of((errors,), where, weights)
        arguments.check(("the errors",), ELEMENT, batch_axes=1)

    jax.eval_shape(check, jax.ShapeDtypeStruct(shape, jnp.float32))
    return Coverage(*(None if x is None else jnp.asarray(x) for x in (where, weights)))
