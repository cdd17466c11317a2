"""What a benchmark comes to: rounds, comparisons, and verdicts on targets."""

import dataclasses
import operator
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from benchmarks._load import QUIET
from benchmarks._timing import Spread, Turns

SIGNS = {"<": operator.lt, "<=": operator.le, ">=": operator.ge}
SLACK = 0.05
Unit = Literal["s", "samples/s", "×", "MB"]


class Target(NamedTuple):
    """What a median must be: below, at most or at least a value.

    Args:
        sign: how it compares.
        value: with what.
        within_spread: whether a median also holds that misses the value by less than it scatters,
            and by no more than `SLACK` of the value.
    """

    sign: Literal["<", "<=", ">="]
    value: float
    within_spread: bool = False

    def holds(self, spread: Spread) -> bool:
        """Whether a measured spread meets the target."""
        near = abs(spread.median - self.value) < min(spread.width, SLACK * self.value)
        return SIGNS[self.sign](spread.median, self.value) or (self.within_spread and near)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One question about what was measured, answered by one number per round.

    Args:
        name: what is asked, e.g. "mse: jaxae / flat mean, 100×784".
        values: the answer of each round that counts.
        unit: "×" for a ratio, "s" for a time, "MB" for memory.
        target: what the median must be; None where the number is information.
    """

    name: str
    values: Sequence[float]
    unit: Unit = "×"
    target: Target | None = None

    @property
    def spread(self) -> Spread:
        """The median over the rounds, and the quartiles."""
        return Spread.of(self.values)

    @property
    def differs(self) -> bool | None:
        """Whether a ratio is further from 1 than it scatters; None for what is not a ratio."""
        return abs(self.spread.median - 1) >= self.spread.width if self.unit == "×" else None

    @property
    def verdict(self) -> str | None:
        """Whether the median meets the target; None without one."""
        if self.target is None:
            return None
        return "holds" if self.target.holds(self.spread) else "missed"

    def record(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            **self.spread._asdict(),
            "differs": self.differs,
            "target": None if self.target is None else f"{self.target.sign} {self.target.value}",
            "verdict": self.verdict,
        }


@dataclasses.dataclass(frozen=True)
class Result:
    """All that one benchmark measured.

    Args:
        name: the benchmark's.
        unit: of what the contenders measured.
        turns: every round; contenders that are compared took turns with each other.
        comparisons: what is asked of them.
        notes: what a reader has to know besides.
    """

    name: str
    unit: Unit
    turns: Sequence[Turns]
    comparisons: Sequence[Comparison]
    notes: Sequence[str] = ()

    def contenders(self) -> Iterator[tuple[str, Spread]]:
        """Each contender's name, and the spread of what it measured."""
        for turns in self.turns:
            for name in turns.names:
                yield name, Spread.of(turns.of(name))

    @property
    def missed(self) -> list[str]:
        """The names of the targets that are missed."""
        return [c.name for c in self.comparisons if c.verdict == "missed"]

    @property
    def quiet(self) -> str:
        """One sentence on how many rounds count, and how quiet the machine was meanwhile."""
        counted = [one for turns in self.turns for one in turns.counted]
        every = sum(len(turns.rounds) for turns in self.turns)
        disturbed = sum(one.others > QUIET for one in counted)
        return (
            f"{len(counted)} of {every} rounds count, the quietest; in {disturbed} of them other "
            f"processes took more than {QUIET:.0%} of the machine"
        )

    def record(self) -> dict[str, Any]:
        """The result as JSON, every repetition included."""
        return {
            "benchmark": self.name,
            "notes": [*self.notes, self.quiet],
            "comparisons": [comparison.record() for comparison in self.comparisons],
            "contenders": {
                name: {"unit": self.unit, **spread._asdict()} for name, spread in self.contenders()
            },
            "rounds": [turns.record() for turns in self.turns],
        }
