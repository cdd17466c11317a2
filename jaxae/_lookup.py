"""Finding a thing by its name, with the nearest name in the error."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Thing = TypeVar("Thing")


def lookup(kind: str, name: str, things: Mapping[str, Thing]) -> Thing:
    """The thing of this name.

    Raises:
        ValueError: no thing has this name; the message gives the nearest name and all of them.

    Example:
        >>> lookup("loss", "mse", {"mse": 1, "bce": 2})
        1
        >>> lookup("loss", "mze", {"mse": 1, "bce": 2})
        Traceback (most recent call last):
        ValueError: unknown loss 'mze', did you mean 'mse'? Known: mse, bce
    """
    if name not in things:
        raise unknown(kind, name, things)
    return things[name]


def unknown(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for a name that nothing has, with the nearest name and all of them."""
    known = list(known)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f", did you mean {near[0]!r}?" if near else "."
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(known)}")
