"""Errors made of errors, which say of themselves what the error inside says."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from jaxtyping import Array

from jaxae.losses._error import Event, Link, event_of, link_of, name_of, parameters_of
from jaxae.losses._hyperparameters import check_positive, store_python_numbers

Error = Callable[..., Array]


def check_error(error: Any) -> None:
    """Raise unless an error is a function."""
    if not callable(error):
        raise TypeError(f"the error is {error!r}, expected a function of arrays")


@dataclasses.dataclass(frozen=True, repr=False)
class Wrapped:
    """An error made of another one, with its link and the names of its arrays.

    Args:
        error: a pure function of arrays.
    """

    error: Error

    def __post_init__(self):
        check_error(self.error)
        # What a loss reads the arrays' names from; without annotations it can be pickled.
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = [inspect.Parameter(name, kind) for name in parameters_of(self.error)]
        object.__setattr__(self, "__signature__", inspect.Signature(names))

    @property
    def link(self) -> Link:
        """The link of the error."""
        return link_of(self.error)

    @property
    def derivative(self) -> Callable[..., Array]:
        """The closed form of the derivative by the first array, from the error's.

        Raises:
            AttributeError: no closed form is known of the error's.
        """
        inside = getattr(self.error, "derivative", None)
        if inside is None:
            raise AttributeError(f"no derivative is known of {name_of(self.error)}")
        return lambda *arrays: self._outside(*arrays) * inside(*arrays)

    def _outside(self, *arrays: Array) -> float:
        """What the error's derivative is multiplied by."""
        raise NotImplementedError(f"{type(self).__name__} defines no _outside")


@dataclasses.dataclass(frozen=True, repr=False)
class Scaled(Wrapped):
    """An error times a factor: factor · e, with the same link and event, and factor · e'.

    Args:
        error: a pure function of arrays.
        factor: what it is multiplied by, a positive number.

    Raises:
        ValueError: a factor that is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import squared_error
        >>> half = Scaled(squared_error, 0.5)
        >>> half, float(half(jnp.array(3.0), jnp.array(1.0)))
        (0.5·squared_error, 2.0)
    """

    factor: float

    def __post_init__(self):
        super().__post_init__()
        check_positive("factor", self.factor)
        store_python_numbers(self)

    def __call__(self, *arrays: Array) -> Array:
        return self.factor * self.error(*arrays)

    def __repr__(self) -> str:
        return f"{self.factor:g}·{name_of(self.error)}"

    @property
    def event(self) -> Event:
        """The event of the error."""
        return event_of(self.error)

    def _outside(self, *arrays: Array) -> float:
        return self.factor


def scaled(error: Error, factor: float) -> Error:
    """The error times a factor; the error itself where the factor is 1."""
    return error if factor == 1 else Scaled(error, factor)


@dataclasses.dataclass(frozen=True, repr=False)
class LastAxisSum(Wrapped):
    """The sum of an elementwise error over the last axis: a divergence over all its outcomes.

    Args:
        error: an elementwise error.

    Raises:
        ValueError: an error that is not elementwise.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import kl_divergence_error
        >>> p, y = jnp.array([[0.5, 0.25, 0.25]]), jnp.array([[0.5, 0.5, 0.0]])
        >>> LastAxisSum(kl_divergence_error)(jnp.log(p), y).round(4).tolist()
        [0.3465...]
    """

    event = Event(prediction=1, target=1)

    def __post_init__(self):
        super().__post_init__()
        if not event_of(self.error).elementwise:
            raise ValueError(
                f"{name_of(self.error)} is not elementwise, expected an elementwise error: it has "
                "no numbers along the last axis to reduce"
            )

    def __call__(self, *arrays: Array) -> Array:
        return self.error(*arrays).sum(-1)

    def __repr__(self) -> str:
        return f"sum of {name_of(self.error)} over the last axis"

    def _outside(self, *arrays: Array) -> float:
        return 1


@dataclasses.dataclass(frozen=True, repr=False)
class LastAxisMean(LastAxisSum):
    """The mean of an elementwise error over the last axis: what Keras calls a sample's loss.

    Args:
        error: an elementwise error.

    Raises:
        ValueError: an error that is not elementwise.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import squared_error
        >>> mean = LastAxisMean(squared_error)
        >>> mean(jnp.array([[1.0, 3.0], [2.0, 4.0]]), jnp.zeros((2, 2))).tolist()
        [5.0, 10.0]
    """

    def __call__(self, *arrays: Array) -> Array:
        return self.error(*arrays).mean(-1)

    def __repr__(self) -> str:
        return f"mean of {name_of(self.error)} over the last axis"

    def _outside(self, *arrays: Array) -> float:
        return 1 / arrays[0].shape[-1]
