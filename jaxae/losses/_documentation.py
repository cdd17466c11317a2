"""The help of a ready-made loss: what it means, what it takes, what it returns and raises."""

import inspect
from collections.abc import Callable, Sequence

from jaxtyping import Array

from jaxae.losses._error import Event, event_of, parameters_of

RETURNED = """
Returns:
    A scalar, float32, or float64 if any array is; where everything is masked, 0 with zero gradient.

Raises:
    TypeError: integer {first}, or a `where` that is not boolean.
    ValueError: shapes that differ, that are not a prefix, or that have no sample axis.
"""


def documentation(name: str, error: Callable[..., Array], meaning: str) -> str:
    """A docstring: `meaning`, with what follows from the error before its example.

    Args:
        name: of the loss.
        error: that it is made of, which says what it takes.
        meaning: a line, paragraphs, and from "Example:" on an example and references.
    """
    first, _, rest = inspect.cleandoc(meaning).partition("\n")
    text, heading, example = rest.partition("\nExample:")
    arrays = [_plural(parameter) for parameter in parameters_of(error)]
    signature = f"{name}({', '.join(arrays)}, *, where=None, weights=None) → scalar"
    arguments = "\n".join(["", "Args:", *_arguments(arrays, event_of(error))])
    returned = RETURNED.format(first=arrays[0])
    return f"{first}\n\n{signature}\n{text}{arguments}\n{returned}{heading}{example}"


def _arguments(arrays: Sequence[str], event: Event) -> list[str]:
    lines = [f"{arrays[0]}: floating point, {_first_shape(event)}; short floats become float32."]
    lines += [f"{name}: {_other(event)}" for name in arrays[1:]]
    if event.target is None:
        reach = "over a prefix of the axes" if event.zero_is_absent else "of shape (N,)"
        lines.append(f"where: bool, {reach}, False for what does not count.")
        lines.append("weights: non-negative, of shape (N,), how often a sample counts.")
    else:
        prefix = f"a prefix of the {arrays[-1]}' axes{' but the last' if event.target else ''}"
        lines.append(f"where: bool, over {prefix}: (N,) for samples, (N, T) for steps.")
        lines.append(f"weights: non-negative, over {prefix}; 0 is absent, 2 is twice.")
    return [f"    {line}" for line in lines]


def _first_shape(event: Event) -> str:
    if not event.prediction:
        return "of shape (N, ...)"
    return f"of shape (N, ..., {event.parameters or 'K'})"


def _other(event: Event) -> str:
    if event.classes:
        return "integers from 0 to K − 1, of shape (N, ...)."
    same = event.prediction == event.target
    return f"of {'the same shape' if same else 'shape (N, ...)'}; integers are converted."


def _plural(name: str) -> str:
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name.removesuffix('s')}s"
