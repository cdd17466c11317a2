"""The report: a table for people, a JSON file for the record."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks._result import Comparison, Result, Unit
from benchmarks._timing import Spread

RESULTS = Path(__file__).parent / "results"
SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def table(result: Result) -> Table:
    """What was measured, and below the line what is asked of it."""
    report = Table(title=result.name, title_justify="left")
    report.add_column("")
    for column in ("median", "quartiles", "target", "verdict"):
        report.add_column(column, justify="right")
    compared = {comparison.name for comparison in result.comparisons}
    for name, spread in result.contenders():
        if name not in compared:
            report.add_row(name, *_numbers(spread, result.unit), "", "")
    report.add_section()
    for one in result.comparisons:
        report.add_row(one.name, *_numbers(one.spread, one.unit), *_verdict(one))
    return report


def write(result: Result, setting: dict[str, Any]) -> Path:
    """Write a result and the setting it was measured in; the path of the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result.name}.json"
    record = {"setting": setting, **result.record()}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _numbers(spread: Spread, unit: Unit) -> tuple[str, str]:
    if unit in ("samples/s", "MB"):
        return f"{spread.median:,.0f} {unit}", f"{spread.low:,.0f} – {spread.high:,.0f}"
    if unit == "×":
        return f"{spread.median:.3f} {unit}", f"{spread.low:.3f} – {spread.high:.3f}"
    scale, name = next((pair for pair in SCALES if spread.median >= pair[0]), SCALES[-1])
    median, low, high = (f"{value / scale:.3g}" for value in spread)
    return f"{median} {name}", f"{low} – {high}"


def _verdict(comparison: Comparison) -> tuple[str, str]:
    if comparison.target is None:
        return "", "no difference" if comparison.differs is False else ""
    colour = "green" if comparison.verdict == "holds" else "bold red"
    target = f"{comparison.target.sign} {comparison.target.value:g} {comparison.unit}"
    return target, f"[{colour}]{comparison.verdict}[/]"
