"""Scaling: what a sample costs as data, batches and models at once become more."""

import time
from typing import Any

import numpy as np

import jaxae
from benchmarks._result import Comparison, Result, Target
from benchmarks._timing import Effort, Measure, Turns, take_turns

FEATURES = 784
SAMPLES = (1_000, 10_000, 100_000, 1_000_000)
BATCH_SIZES = (100, 1_000, 10_000)
MICROBATCH = 1_000
MODELS = (1, 4, 16)
# The least samples that a repetition trains on.
WORK = 200_000
FLAT = Target("<=", 1.1, within_spread=True)
NO_DEARER = Target("<=", 1.0, within_spread=True)


def scaling(effort: Effort) -> Result:
    """Seconds a sample, in the network 784-128-64-28-64-128-784, each axis on its own."""
    random = np.random.default_rng()
    X = random.random((SAMPLES[-1], FEATURES), np.float32)
    by_samples = {f"{n:,} samples": _fitted(X[:n], batch_size=100) for n in SAMPLES}
    by_batch = {f"batch {b:,}": _fitted(X[:100_000], batch_size=b) for b in BATCH_SIZES}
    by_batch[f"batch {BATCH_SIZES[-1]:,}, microbatches of {MICROBATCH:,}"] = _fitted(
        X[:100_000], batch_size=BATCH_SIZES[-1], microbatch_size=MICROBATCH
    )
    by_models = {f"{k} at once": _fitted(X[:10_000], batch_size=100, seeds=k) for k in MODELS}
    groups = ((by_samples, FLAT), (by_batch, NO_DEARER), (by_models, NO_DEARER))
    turns = [take_turns(measures, effort) for measures, _ in groups]
    comparisons = [
        one
        for taken, (_, target) in zip(turns, groups, strict=True)
        for one in _grown(taken, target)
    ]
    # Flat both ways: the fixed cost of an epoch is not to be seen in the smallest either.
    few, many = (f"{n:,} samples" for n in (SAMPLES[0], SAMPLES[-1]))
    name = f"{few} / {many}: seconds a sample"
    comparisons.append(Comparison(name, turns[0].ratios(few, many), "×", FLAT))
    notes = ["float32, 784-128-64-28-64-128-784, Adam; batches of 100 and one model unless said"]
    return Result("scaling", "s", turns, comparisons, notes)


def _grown(turns: Turns, target: Target) -> list[Comparison]:
    """Each against the smallest: what a sample of a model costs, as a ratio."""
    first, *others = turns.names
    return [
        Comparison(f"{name} / {first}: seconds a sample", turns.ratios(name, first), "×", target)
        for name in others
    ]


def _fitted(X: np.ndarray, *, seeds: int | None = None, **arguments: Any) -> Measure:
    """Seconds a sample and model, of steady epochs: from the first one's end to the last one's."""
    epochs = 1 + max(1, WORK // (len(X) * (seeds or 1)))

    def measure() -> float:
        ends: list[float] = []
        callbacks = [lambda state, row: ends.append(time.perf_counter())]
        _fit(X, epochs=epochs, seeds=seeds, callbacks=callbacks, **arguments)
        return (ends[-1] - ends[0]) / ((epochs - 1) * len(X) * (seeds or 1))

    return measure


def _fit(X: np.ndarray, *, seeds: int | None, **arguments: Any) -> Any:
    def build(rngs: Any) -> Any:
        return jaxae.models.MLPAutoencoder((FEATURES,), rngs=rngs)

    return jaxae.fit(
        build(None) if seeds is None else build,
        X,
        loss=jaxae.losses.bce,
        seeds=seeds,
        show_progress=False,
        **arguments,
    )
