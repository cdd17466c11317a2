"""The seed network in Keras 3 on its JAX backend, as Keras users write it."""

import os
import time
from typing import Any

import numpy as np

INSTALL = (
    "the training benchmark needs Keras: uv run --group benchmarks python -m benchmarks, "
    "or pip install keras"
)


def load_keras() -> Any:
    """Keras on the JAX backend.

    Raises:
        ModuleNotFoundError: Keras is missing; the message says how to install it.
        RuntimeError: Keras was imported before, on another backend.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    try:
        import keras  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(INSTALL, name="keras") from error
    if keras.backend.backend() != "jax":
        raise RuntimeError(f"Keras runs on {keras.backend.backend()}, expected its JAX backend")
    return keras


def keras_model(*, from_logits: bool, steps_per_execution: int) -> Any:
    """784-128-64-28-64-128-784: ReLU in between, a linear code, Adam, binary cross-entropy.

    Args:
        from_logits: whether the network ends in logits, or in a sigmoid.
        steps_per_execution: how many batches one compiled call trains on.
    """
    keras = load_keras()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(28),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(784, activation=None if from_logits else "sigmoid"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.BinaryCrossentropy(from_logits=from_logits),
        steps_per_execution=steps_per_execution,
    )
    return model


def keras_epochs(
    model: Any, X: np.ndarray, batch_size: int, epochs: int
) -> tuple[list[float], list[float]]:
    """Train a Keras model for some epochs; when each ended, and its training loss."""
    keras = load_keras()
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
    )
    history = model.fit(
        X, X, batch_size=batch_size, epochs=epochs, shuffle=True, verbose=0, callbacks=[clock]
    )
    return ends, history.history["loss"]
