"""The command: measure, print a table, write the record.

    python -m benchmarks [--only GROUP] [--quick] …

Exits with 1 if a target is missed, with 2 if Keras is not installed.
"""

import argparse
import importlib
import sys
from pathlib import Path

from rich.console import Console

from benchmarks._allocator import settled
from benchmarks._report import table, write
from benchmarks._result import Result
from benchmarks._setting import setting, summary
from benchmarks._timing import Effort

# How many rounds count, and how many with --quick.
ROUNDS = {
    "imports": (21, 3),
    "losses": (21, 3),
    "masked": (15, 3),
    "elementwise": (21, 3),
    "training": (31, 2),
    "scaling": (7, 2),
    "streaming": (15, 3),
    "memory": (3, 2),
}
DATA_DIR = Path("../shared/data/mnist")


def main() -> int:
    """Run the benchmarks that were asked for; the exit code."""
    options = _options()
    settled()
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    names = [options.only] if options.only else list(ROUNDS)
    try:
        results = [_measure(name, options, console) for name in names]
    except ModuleNotFoundError as error:
        console.print(f"error: {error}")
        return 2
    missed = [name for result in results for name in result.missed]
    if missed:
        console.print("missed:", *missed, sep="\n  ", style="bold red")
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks")
    parser.add_argument("--only", choices=list(ROUNDS), help="run one of them")
    parser.add_argument("--quick", action="store_true", help="few rounds, and no record of them")
    parser.add_argument(
        "--data-dir", type=Path, default=DATA_DIR, help="MNIST's IDX files (default: %(default)s)"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=30.0,
        help="seconds to wait for other processes, in all per group (default: %(default)g)",
    )
    return parser.parse_args()


def _measure(name: str, options: argparse.Namespace, console: Console) -> Result:
    around = setting()
    console.print(summary(around), style="dim")
    rounds = ROUNDS[name][options.quick]
    result = _run(name, Effort(rounds, options.patience), options.data_dir)
    console.print(table(result), *result.notes, result.quiet, sep="\n")
    if not options.quick:
        console.print(f"written to {write(result, around)}")
    console.print()
    return result


def _run(name: str, effort: Effort, data_dir: Path) -> Result:
    # Each is imported when it runs: only training needs Keras, and imports need nothing.
    measure = getattr(importlib.import_module(f"benchmarks._{name}"), name)
    on_images = name in ("training", "streaming")
    return measure(effort, data_dir) if on_images else measure(effort)


if __name__ == "__main__":
    raise SystemExit(main())
