"""Training: the steady rate of `jaxae.fit`, of Keras 3, torch and a bare scan, in turns."""

import functools
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import jaxae
from benchmarks._keras import keras_epochs, keras_model, load_keras
from benchmarks._result import Comparison, Result, Target
from benchmarks._rivals import installed
from benchmarks._scan import bare_scan
from benchmarks._timing import Effort, Measure, Turns, take_turns
from benchmarks._torch import torch_epochs

BATCH_SIZE = 100
# Initial parameters and orders are each contender's own: losses scatter by 2 % around the middle.
TOLERANCE = 0.1
JAXAE, SCAN, TORCH = "jaxae.fit", "bare scan", "torch, fused Adam"
LOGGED, SAVED = "jaxae.fit, evaluated and logged", "jaxae.fit, a checkpoint an epoch"
TARGETS = {1: Target(">=", 1.3), 50: Target(">=", 1.15)}
OTHERS = {SCAN: Target(">=", 1.0, within_spread=True), TORCH: Target(">=", 2.5)}
OWN = {LOGGED: Target(">=", 0.9), SAVED: Target(">=", 0.75)}

# Trains for some epochs: when each ended on time.perf_counter, and its training loss.
Train = Callable[[int], tuple[list[float], list[float]]]


def training(effort: Effort, data_dir: Path) -> Result:
    """Time steady epochs of the network 784-128-64-28-64-128-784, batches of 100, Adam."""
    load_keras()
    X, source = images(data_dir)
    with tempfile.TemporaryDirectory() as folder:
        trains = contenders(X, Path(folder))
        losses = check_losses(trains)
        turns = take_turns({name: rate(train, len(X)) for name, train in trains.items()}, effort)
    rivals = {_fastest(turns, steps): target for steps, target in TARGETS.items()}
    rivals |= {name: target for name, target in OTHERS.items() if name in trains}
    asked = [(JAXAE, rival, target) for rival, target in rivals.items()]
    asked += [(name, JAXAE, target) for name, target in OWN.items()]
    comparisons = [
        Comparison(f"{one} / {other}", turns.ratios(one, other), "×", target)
        for one, other, target in asked
    ]
    notes = [
        source,
        "a repetition is the rate of one epoch, after one that is dropped",
        f"training loss in the first epoch: {losses}",
    ]
    return Result("training", "samples/s", [turns], comparisons, notes)


def images(data_dir: Path) -> tuple[np.ndarray, str]:
    """MNIST's training images as rows of 784, or random ones where there is no such folder."""
    if data_dir.is_dir():
        X = np.asarray(jaxae.data.load("mnist", data_dir=data_dir).train)
        return X.reshape(len(X), -1), "data: the 60,000 training images of MNIST"
    X = np.random.default_rng(0).uniform(size=(60_000, 784)).astype(np.float32)
    return X, f"data: uniform random numbers, for want of MNIST in {data_dir}; see --data-dir"


def contenders(X: np.ndarray, folder: Path) -> dict[str, Train]:
    """All that is compared, by name; each trains on from where it was, or from the beginning."""
    trains: dict[str, Train] = {
        JAXAE: functools.partial(jaxae_epochs, X),
        LOGGED: functools.partial(_logged, X, folder / "metrics.jsonl"),
        SAVED: functools.partial(_saved, X, folder / "checkpoints"),
    }
    for steps in TARGETS:
        for form, from_logits in (("sigmoid", False), ("logits", True)):
            model = keras_model(from_logits=from_logits, steps_per_execution=steps)
            trains[_keras_name(form, steps)] = functools.partial(keras_epochs, model, X, BATCH_SIZE)
    if installed("torch"):
        trains[TORCH] = torch_epochs(X, BATCH_SIZE)
    return trains | {SCAN: bare_scan(X, BATCH_SIZE)}


def check_losses(trains: Mapping[str, Train]) -> str:
    """The training loss of everyone's first epoch, which compiles as well.

    Raises:
        RuntimeError: losses so different that not the same thing would be compared.
    """
    losses = {name: train(1)[1][0] for name, train in trains.items()}
    middle = statistics.median(losses.values())
    listed = ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
    if not all(abs(loss - middle) <= TOLERANCE * middle for loss in losses.values()):
        raise RuntimeError(f"the losses after an epoch differ: {listed}")
    return listed


def jaxae_epochs(data: Any, epochs: int, **options: Any) -> tuple[list[float], list[float]]:
    """Training by `jaxae.fit` for some epochs: when each ended, and its training loss."""
    ends: list[float] = []
    callbacks = [*options.pop("callbacks", ()), lambda state, row: ends.append(time.perf_counter())]
    _, history = jaxae.fit(
        jaxae.models.MLPAutoencoder((784,)),
        data,
        loss=jaxae.losses.bce,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        **{"show_progress": False, "callbacks": callbacks, **options},
    )
    return ends, [row.train_loss for row in history]


def _logged(X: np.ndarray, path: Path, epochs: int) -> tuple[list[float], list[float]]:
    """With 10,000 test samples evaluated, a progress bar, and a line of JSON an epoch."""
    data = jaxae.data.Dataset("images", X, X[:10_000], "as they are", "the first of them")

    def write(state: Any, row: Any) -> None:
        with path.open("a") as file:
            file.write(json.dumps(row.metrics()) + "\n")

    return jaxae_epochs(data, epochs, callbacks=[write], show_progress=True)


def _saved(X: np.ndarray, path: Path, epochs: int) -> tuple[list[float], list[float]]:
    """With a checkpoint after each epoch, written while the next one runs."""
    shutil.rmtree(path, ignore_errors=True)
    return jaxae_epochs(X, epochs, checkpoints=jaxae.training.Checkpoints(path))


def rate(train: Train, samples: int) -> Measure:
    """Samples per second from the end of a first epoch to the end of a second."""

    def measure() -> float:
        (first, second), _ = train(2)
        return samples / (second - first)

    return measure


def _keras_name(form: str, steps: int) -> str:
    return f"Keras, {form}, {steps} steps" if steps > 1 else f"Keras, {form}, 1 step"


def _fastest(turns: Turns, steps: int) -> str:
    """The faster of the two forms in which Keras users write the network's end."""
    names = [_keras_name(form, steps) for form in ("sigmoid", "logits")]
    return max(names, key=lambda name: statistics.median(turns.of(name)))
