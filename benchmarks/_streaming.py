"""Streaming: the steady rate of `jaxae.fit` on a mapped file, and on the same data in memory."""

import functools
import tempfile
from pathlib import Path

import numpy as np

from benchmarks._result import Comparison, Result, Target
from benchmarks._timing import Effort, take_turns
from benchmarks._training import check_losses, images, jaxae_epochs, rate
from jaxae.data import stream

RESIDENT, STREAMED = "resident", "streamed"
TARGET = Target("<=", 1.3)


def streaming(effort: Effort, data_dir: Path) -> Result:
    """Time steady epochs of the network 784-128-64-28-64-128-784, batches of 100, Adam."""
    X, source = images(data_dir)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "images.npy")
        np.save(path, X)
        data = {RESIDENT: X, STREAMED: stream(path)}
        trains = {name: functools.partial(jaxae_epochs, x) for name, x in data.items()}
        losses = check_losses(trains)
        turns = take_turns({name: rate(train, len(X)) for name, train in trains.items()}, effort)
    comparison = Comparison(
        "time of an epoch: streamed / resident", turns.ratios(RESIDENT, STREAMED), "×", TARGET
    )
    notes = [
        f"{source}, float32 in a .npy file that the system holds in its cache",
        "a repetition is the rate of one epoch, after one that is dropped",
        f"training loss in the first epoch: {losses}",
    ]
    return Result("streaming", "samples/s", [turns], [comparison], notes)
