"""A question about two forms of the same: how the time of one compares with that of the other."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from benchmarks._agreement import check_agreement
from benchmarks._result import Target
from benchmarks._timing import Effort, Turns, seconds_a_call, take_turns

TOLERANCE = 1e-4
NO_SLOWER = Target("<=", 1.0, within_spread=True)


class Question(NamedTuple):
    """Two functions of the same arrays, and what the ratio of their times must be.

    Args:
        label: of the comparison, "one / other: what".
        one: whose time is divided.
        other: by whose time it is divided.
        target: of the ratio; None where it is information.
        equal: whether both must give the same.
        smallest: the fewest numbers at which the target is asked.
    """

    label: str
    one: Callable
    other: Callable
    target: Target | None
    equal: bool = True
    smallest: int = 0


def ask(question: Question, name: str, arrays: Sequence[jax.Array], effort: Effort) -> Turns:
    """Both functions, compiled, in turns on the same arrays, after a check that they agree."""
    sides = {"one": jax.jit(question.one), "other": jax.jit(question.other)}
    if question.equal:
        results = {side: function(*arrays) for side, function in sides.items()}
        check_agreement(name, results, TOLERANCE)
    measures = {f"{name}: {x}": seconds_a_call(f, *arrays) for x, f in sides.items()}
    return take_turns(measures, effort)
