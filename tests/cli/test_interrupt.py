import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxae.runs import evaluate

# The shell that runs the tests may have its background jobs ignore the signal.
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from jaxae.cli import main
main()
"""
FILES = [
    "checkpoint",
    "checkpoints",
    "config.json",
    "loss.png",
    "metrics.jsonl",
    "reconstructions.png",
    "summary.json",
]


def content(path):
    return sorted(entry.name for entry in path.iterdir())


def wait_until(condition, process):
    """Until the condition holds; it must before the process ends."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def start(folder):
    """Starts a command in a process of its own; the process does not outlive the test."""
    started = []

    def run(*arguments):
        command = [sys.executable, "-c", MAIN, *map(str, arguments)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_the_epochs_that_are_done_are_kept_however_often_it_is_pressed(start, folder):
    process = start("train", "--layers", "16,4", "--epochs", 10**6, "--out", "run")
    metrics = folder / "run" / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") >= 2, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    wait_until((folder / "run" / "checkpoint").exists, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    summary = json.loads((folder / "run" / "summary.json").read_text())
    epochs = summary["epochs"]
    assert epochs >= 2
    assert f"interrupted in epoch {epochs + 1}; epochs 1 to {epochs} are kept" in err
    assert "Traceback" not in err
    assert "reconstructions.png" in out
    assert content(folder / "run") == FILES
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))
    tested = evaluate(folder / "run")
    assert tested == {name: summary[name] for name in tested}


def test_before_the_first_epoch_is_done_nothing_is_left(start, folder, tmp_path):
    np.save(tmp_path / "large.npy", np.zeros((20_000, 64), np.float32))
    options = ("--data", tmp_path / "large.npy", "--layers", "1024,1024", "--batch-size", 1)
    process = start("train", *options, "--out", "new/run")
    wait_until((folder / "new" / "run" / "config.json").exists, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, content(folder)) == (130, "", [])
    assert err.splitlines()[-1].startswith("jaxae: interrupted")
    assert "Traceback" not in err


@pytest.mark.parametrize("package", ["typer", "numpy", "jax", "flax", "optax"])
def test_while_packages_are_imported_it_ends_at_once(package, process, folder):
    """numpy is imported by jaxlib's extension, which makes an ImportError of KeyboardInterrupt."""
    code, out, err = process(
        "train",
        first=f"""
import signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
""",
    )
    assert (code, out, err) == (130, "", "jaxae: interrupted\n")
    assert content(folder) == []


def test_a_background_job_that_ignores_the_signal_goes_on_ignoring_it(process):
    first = """
import signal

def evaluate(path):
    signal.raise_signal(signal.SIGINT)
    return {}

signal.signal(signal.SIGINT, signal.SIG_IGN)
import jaxae.runs
jaxae.runs.evaluate = evaluate
"""
    assert process("evaluate", "run", first=first) == (0, "", "")
