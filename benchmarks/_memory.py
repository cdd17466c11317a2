"""Memory: what a process needs of its own, mapped pages aside, to train on a 4 GB file.

    python -m benchmarks._memory FILE

trains on a file for one epoch, which is the process that is measured.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._result import Comparison, Result, Target
from benchmarks._timing import Effort, take_turns

ROWS, FEATURES = 1_275_520, 784
TARGET = Target("<", 1500.0)
GLANCE = 0.02  # seconds
MB = 1e6


def memory(effort: Effort) -> Result:
    """The largest anonymous resident memory of processes that train on a sparse 4 GB .npy file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.npy")
        np.lib.format.open_memmap(path, "w+", np.float32, (ROWS, FEATURES)).flush()
        size = path.stat().st_size
        turns = take_turns({"peak of RssAnon": lambda: peak(path) / MB}, effort)
    comparison = Comparison(
        f"RssAnon while training on {size / 1e9:.1f} GB", turns.of("peak of RssAnon"), "MB", TARGET
    )
    note = "one epoch in batches of 1,000 of float32 rows from a sparse file"
    return Result("memory", "MB", [turns], [comparison], [note])


def peak(path: Path) -> int:
    """The largest anonymous resident memory, in bytes, of a process that trains on a file."""
    command = [sys.executable, "-m", "benchmarks._memory", str(path)]
    with subprocess.Popen(command) as process:
        most = 0
        while process.poll() is None:
            most = max(most, _anonymous(process.pid))
            time.sleep(GLANCE)
    if process.returncode:
        raise RuntimeError(f"training ended with exit code {process.returncode}")
    return most


def _anonymous(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    sizes = [int(line.split()[1]) for line in lines if line.startswith("RssAnon")]
    return sizes[0] * 1024 if sizes else 0


def _train(path: str) -> None:
    import jaxae

    jaxae.fit(
        jaxae.models.MLPAutoencoder((FEATURES,)),
        jaxae.data.stream(path),
        loss=jaxae.losses.mse,
        epochs=1,
        batch_size=1000,
        show_progress=False,
    )


if __name__ == "__main__":
    _train(sys.argv[1])
