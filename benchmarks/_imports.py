"""Imports: what jaxae adds to the packages that its users have imported anyway."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks._result import Comparison, Result, Target
from benchmarks._timing import Effort, Measure, take_turns

PROGRAM = """
import time
{before}
start = time.perf_counter()
{timed}
print(time.perf_counter() - start)
"""
PEERS = "import jax, flax.nnx, optax"
EVERY_ROOM = "import jaxae; [getattr(jaxae, name) for name in dir(jaxae)]"

LOSSES = "import jaxae.losses, after jax"
JAXAE = "import jaxae, after jax, flax.nnx, optax"
ROOMS = "every room of jaxae, after jax, flax.nnx, optax"
HELP = "jaxae --help, the whole process"
# `import jaxae` imports no room until it is used, so that every room has to meet its target too.
TARGETS = {
    LOSSES: Target("<=", 0.15),
    JAXAE: Target("<=", 0.3),
    ROOMS: Target("<=", 0.3),
    HELP: Target("<", 0.7),
}


def imports(effort: Effort) -> Result:
    """Time imports and the command line's help, each repetition in a fresh process."""
    contenders = {
        "import jax": _import("", "import jax"),
        PEERS: _import("", PEERS),
        LOSSES: _import("import jax", "import jaxae.losses"),
        JAXAE: _import(PEERS, "import jaxae"),
        ROOMS: _import(PEERS, EVERY_ROOM),
        HELP: _help,
    }
    turns = take_turns(contenders, effort)
    comparisons = [Comparison(name, turns.of(name), "s", t) for name, t in TARGETS.items()]
    return Result("imports", "s", [turns], comparisons, ["each repetition in a fresh process"])


def _import(before: str, timed: str) -> Measure:
    """The seconds of some imports in a fresh process that has made others before."""
    command = [sys.executable, "-c", PROGRAM.format(before=before, timed=timed)]
    return lambda: float(_output(command))


def _help() -> float:
    script = Path(sys.executable).with_name("jaxae")
    start = time.perf_counter()
    _output([str(script), "--help"])
    return time.perf_counter() - start


def _output(command: list[str]) -> str:
    # The round that warms up leaves bytecode behind, as a user's first import does.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} exited with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
