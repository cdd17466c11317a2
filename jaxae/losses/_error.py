"""What an error is, and what it says of itself: its link, its event and its derivative."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import jax
from jaxtyping import Array

Marked = TypeVar("Marked", bound=Callable[..., Any])
Link = Callable[[Array], Array]
Masking = Literal["choice", "slopes", "product", "inputs"]


def identity(x: Array) -> Array:
    """The link of a prediction that is already on the target's scale."""
    return x


class Event(NamedTuple):
    """What one error is computed from: so many trailing axes of a sample, its other axes apart.

    An elementwise error is computed from one number of each array. A likelihood of two parameters
    takes one trailing axis of the prediction and none of the target; a structural error takes the
    whole sample.

    Args:
        prediction: how many trailing axes of the first array one error takes; None for all.
        target: how many of every other array; None for all.
        classes: whether the target is an integer that names a class.
        zero_is_absent: whether a number that is 0 in every array leaves the error unchanged, so
            that a mask may reach inside an event.
        parameters: how long the first array's last axis is, where it holds that many parameters of
            a distribution; None for any length, e.g. that of classes.
        masking: how what is masked stays out of the sum. "choice", which is always right: the
            arrays become 0 and the error is replaced by 0. The others are faster, and the error
            must not close over arrays that are traced. "slopes": as "choice", but the arrays
            become 0 only where slopes are taken. "product": there the error is multiplied by 0
            instead, and has to be finite with all its derivatives where every array is 0.
            "inputs": there nothing more is done, and the error has to be 0 as well. After a
            logarithm the last two are faster still: XLA on CPU adds up logarithms, and products of
            them, as it goes, but no choices of them.
    """

    prediction: int | None = 0
    target: int | None = 0
    classes: bool = False
    zero_is_absent: bool = False
    parameters: int | None = None
    masking: Masking = "choice"

    @property
    def elementwise(self) -> bool:
        """Whether an error is computed from one number of each array, none of them a class."""
        return (self.prediction, self.target, self.classes) == (0, 0, False)

    def elements(self, arrays: Sequence[Array], batch_axes: int = 0) -> tuple[int, ...]:
        """The shape of the errors between arrays: theirs, without the axes of an event."""
        shape = arrays[-1].shape
        rank = self.prediction if len(arrays) == 1 else self.target
        return shape[:batch_axes] if rank is None else shape[: len(shape) - rank]


ELEMENT = Event()
SAMPLE = Event(prediction=None, target=None)


def reads(link: Link) -> Callable[[Marked], Marked]:
    """Mark an error that applies `link` to its first argument itself, so that no one else does.

    It decorates a function, or the class of an error that has hyperparameters. An error that is not
    marked compares numbers on the target's scale.

    Example:
        >>> import jax.numpy as jnp
        >>> @reads(jnp.exp)
        ... def log_rate_error(log_rate, target):
        ...     return (jnp.exp(log_rate) - target) ** 2
        >>> link_of(log_rate_error) is jnp.exp, link_of(abs) is identity
        (True, True)
    """

    def mark(error: Marked) -> Marked:
        return _mark(error, "link", link)

    return mark


def from_logits(error: Marked) -> Marked:
    """Mark an error whose first argument is logits: `reads(jax.nn.sigmoid)`.

    Example:
        >>> @from_logits
        ... def brier(logits, target):
        ...     return (jax.nn.sigmoid(logits) - target) ** 2
        >>> link_of(brier) is jax.nn.sigmoid
        True
    """
    return reads(jax.nn.sigmoid)(error)


def takes(event: Event) -> Callable[[Marked], Marked]:
    """Mark an error with the event that it is computed from; one that is elementwise needs none.

    Example:
        >>> import jax.numpy as jnp
        >>> @takes(Event(prediction=1, target=1))
        ... def distance(prediction, target):
        ...     return jnp.sqrt(jnp.sum((prediction - target) ** 2, axis=-1))
        >>> event_of(distance).target, event_of(abs).target
        (1, 0)
    """

    def mark(error: Marked) -> Marked:
        return _mark(error, "event", event)

    return mark


def closed_form(derivative: Callable[..., Array]) -> Callable[[Marked], Marked]:
    """Mark an error with its derivative by its first argument, e'(prediction, target).

    An error that has hyperparameters defines a method `derivative` instead.

    Example:
        >>> @closed_form(lambda prediction, target: 3 * (prediction - target) ** 2)
        ... def cubic(prediction, target):
        ...     return (prediction - target) ** 3
        >>> derivative_of(cubic)(2.0, 0.0)
        12.0
    """

    def mark(error: Marked) -> Marked:
        return _mark(error, "derivative", derivative)

    return mark


def link_of(error: Callable[..., Array]) -> Link:
    """The link that an error applies to its first argument itself; `identity` if none."""
    return getattr(error, "link", identity)


def event_of(error: Callable[..., Array]) -> Event:
    """The event that one error is computed from; one number of each array if not marked."""
    return getattr(error, "event", ELEMENT)


def derivative_of(error: Callable[..., Array]) -> Callable[..., Array]:
    """The closed form of an error's derivative by its first argument.

    Raises:
        ValueError: no closed form is known.
    """
    derivative = getattr(error, "derivative", None)
    if derivative is None:
        raise ValueError(
            f"no closed form is known of the derivative of {name_of(error)}; mark it with "
            "@closed_form(derivative), or give its class a method `derivative`"
        )
    return derivative


def name_of(error: Callable[..., Array]) -> str:
    """What an error is called in messages."""
    return getattr(error, "__name__", repr(error))


def parameters_of(error: Callable[..., Array]) -> tuple[str, ...]:
    """The names of the arrays that an error takes, e.g. ("logits", "target").

    A parameter with a default is none of them: a hyperparameter, which keeps its default.
    """
    parameters = inspect.signature(error).parameters.values()
    return tuple(x.name for x in parameters if x.default is x.empty)


def _mark(error: Any, name: str, value: Any) -> Any:
    # A function that is an attribute of a class would become a method of its objects.
    setattr(
        error, name, staticmethod(value) if inspect.isclass(error) and callable(value) else value
    )
    return error
