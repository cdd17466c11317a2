"""The method: contenders take turns, round after round, and are compared within each round."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from benchmarks._load import QUIET, Load, wait_for_quiet

Measure = Callable[[], float]

# A disturbed round is measured again, until there were this many for each that is wanted.
ATTEMPTS = 3
LEAD, REPETITION = 0.05, 0.1  # seconds


class Effort(NamedTuple):
    """How much time a measurement may take.

    Args:
        rounds: how many rounds count.
        patience: how many seconds it may wait, in all, for other processes to become quiet.
    """

    rounds: int
    patience: float


class Spread(NamedTuple):
    """The middle of some repetitions, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The median and quartiles of two values or more."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @property
    def width(self) -> float:
        """The interquartile range."""
        return self.high - self.low


class Round(NamedTuple):
    """One repetition of every contender, one right after the other.

    Args:
        others: the share of the machine that other processes took meanwhile.
        measured: what each contender measured, by name.
    """

    others: float
    measured: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Turns:
    """All rounds that were measured, of which the quietest count, whatever they measured.

    Args:
        rounds: all of them, in the order of time.
        wanted: how many count.
    """

    rounds: Sequence[Round]
    wanted: int

    @property
    def names(self) -> list[str]:
        """The contenders."""
        return list(self.rounds[0].measured)

    @property
    def counted(self) -> list[Round]:
        """The rounds that count, in the order of time."""
        order = sorted(range(len(self.rounds)), key=lambda i: self.rounds[i].others)
        return [self.rounds[i] for i in sorted(order[: self.wanted])]

    def of(self, name: str) -> list[float]:
        """A contender's repetitions in the rounds that count."""
        return [one.measured[name] for one in self.counted]

    def ratios(self, numerator: str, denominator: str) -> list[float]:
        """One ratio per round that counts, of what was measured in that round."""
        return [a / b for a, b in zip(self.of(numerator), self.of(denominator), strict=True)]

    def record(self) -> list[dict[str, Any]]:
        """Every round as JSON, those that do not count as well."""
        counted = self.counted
        return [
            {"counted": one in counted, "others": round(one.others, 3), **one.measured}
            for one in self.rounds
        ]


def take_turns(contenders: Mapping[str, Measure], effort: Effort) -> Turns:
    """Measure A B C, B C A, …, so that a slow minute of the machine falls on all of them.

    Each goes first in turn: who does is some percent slower, after whatever came before the round.
    One round goes before, to compile and warm up, and is thrown away. A round that other processes
    disturbed is measured again when they are quiet, as far as patience and `ATTEMPTS` go.

    Args:
        contenders: what is measured, by name; each call measures once, in whatever unit.
        effort: how many rounds count, and how long to wait.
    """
    for measure in contenders.values():
        measure()
    rounds, waited = [], 0.0
    while not _enough(rounds, effort.rounds):
        if rounds and rounds[-1].others > QUIET:
            waited += wait_for_quiet(effort.patience - waited)
        load = Load()
        names = list(contenders)
        first = len(rounds) % len(names)
        measured = {name: contenders[name]() for name in names[first:] + names[:first]}
        rounds.append(Round(load.others(), {name: measured[name] for name in names}))
    return Turns(rounds, effort.rounds)


def _enough(rounds: Sequence[Round], wanted: int) -> bool:
    return len(rounds) >= ATTEMPTS * wanted or sum(r.others <= QUIET for r in rounds) >= wanted


def seconds_a_call(function: Callable, *arguments: jax.Array) -> Measure:
    """A measure of the seconds that one call takes until its result is ready.

    A repetition averages over as many calls as fill `REPETITION`: one call is too short for a clock
    that says what other processes took. The calls of the `LEAD` before it do not count: threads of
    the contender before, such as torch's, keep the cores busy for a while after it is done.

    Args:
        function: what is called; the round that warms up compiles it.
        *arguments: what it is called with.
    """

    def seconds(duration: float) -> float:
        start, elapsed, calls = time.perf_counter(), 0.0, 0
        while elapsed < duration:
            jax.block_until_ready(function(*arguments))
            elapsed, calls = time.perf_counter() - start, calls + 1
        return elapsed / calls

    def measure() -> float:
        seconds(LEAD)
        return seconds(REPETITION)

    return measure
