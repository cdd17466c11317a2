"""Hyperparameters of errors: plain numbers within a range, or a message that names it."""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any


def check_positive(name: str, value: Any) -> None:
    """Raise unless a hyperparameter is a finite number above 0."""
    _check(name, value, 0 < _number(name, value) < math.inf, "a finite number above 0")


def check_not_negative(name: str, value: Any) -> None:
    """Raise unless a hyperparameter is a finite number, 0 or more."""
    _check(name, value, 0 <= _number(name, value) < math.inf, "a finite number, 0 or more")


def check_between(name: str, value: Any, low: int | float, high: int | float) -> None:
    """Raise unless a hyperparameter is a number above `low` and below `high`."""
    inside = low < _number(name, value) < high
    _check(name, value, inside, f"a number above {low:g} and below {high:g}")


def check_from_to(name: str, value: Any, low: int | float, high: int | float) -> None:
    """Raise unless a hyperparameter is a number from `low` to `high`, both included."""
    _check(name, value, low <= _number(name, value) <= high, f"a number from {low:g} to {high:g}")


def check_whole(name: str, value: Any, least: int) -> None:
    """Raise unless a hyperparameter is a whole number of at least `least`."""
    whole = isinstance(value, numbers.Integral) and _number(name, value) >= least
    _check(name, value, whole, f"a whole number of at least {least}")


def check_choice(name: str, value: Any, options: Sequence[Any]) -> None:
    """Raise unless a hyperparameter is one of those, words or numbers, that it may be."""
    if value not in options:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(str, options))}")


def store_python_numbers(frozen: Any) -> None:
    """Make the numbers of a frozen dataclass Python's own, whose type no array takes over.

    A Fraction means nothing to JAX, and a NumPy float64 makes float64 of float32 arrays.
    """
    for field in dataclasses.fields(frozen):
        object.__setattr__(frozen, field.name, python_number(getattr(frozen, field.name)))


def python_number(value: Any) -> Any:
    """A number as Python's int or float; anything else, and a bool, as it is."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def as_tuple(name: str, values: Any) -> tuple:
    """The values as a tuple, which can be hashed, so that an equal loss is not compiled again.

    Numbers among them are Python's.

    Raises:
        TypeError: what is not a sequence.
        ValueError: no value.
    """
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} is {values!r}, expected a sequence, e.g. a tuple")
    if not (values := tuple(map(python_number, values))):
        raise ValueError(f"{name} is empty, expected one value or more")
    return values


def _number(name: str, value: Any) -> float:
    # An array could be neither hashed nor compared, so that a loss would be compiled at each call.
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected a Python number")
    return float(value)


def _check(name: str, value: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value}, expected {expected}")
