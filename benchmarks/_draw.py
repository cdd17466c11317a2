"""Fresh predictions and targets, of every kind that a loss takes."""

from collections.abc import Callable

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]
Random = np.random.Generator
Shape = tuple[int, int]
CLASSES = 16


def draw(kind: str, samples: int, features: int) -> Arrays:
    """Predictions and targets of a kind, a key of `KINDS`; of classes, `CLASSES` in an event."""
    return KINDS[kind](np.random.default_rng(), (samples, features))


def _numbers(random: Random, shape: Shape) -> Arrays:
    return _apart(_normal(random, shape), random.random(shape, np.float32))


def _positive(random: Random, shape: Shape) -> Arrays:
    """Never 0, where Keras's msle has another slope."""
    first = np.maximum(abs(_normal(random, shape)), np.float32(1e-3))
    return _apart(first, random.random(shape, np.float32) + np.float32(0.1))


def _logits(random: Random, shape: Shape) -> Arrays:
    return _normal(random, shape), random.random(shape, np.float32)


def _labels(random: Random, shape: Shape) -> Arrays:
    return _normal(random, shape), (random.random(shape) < 0.3).astype(np.float32)


def _probabilities(random: Random, shape: Shape) -> Arrays:
    first = np.clip(random.random(shape, np.float32), 0.01, 0.99)
    return first, random.random(shape, np.float32)


def _parameters(random: Random, shape: Shape) -> Arrays:
    return random.standard_normal((*shape, 2), np.float32), random.random(shape, np.float32)


def _log_rates(random: Random, shape: Shape) -> Arrays:
    return _normal(random, shape), random.poisson(3.0, shape).astype(np.float32)


def _count_parameters(parameters: int) -> Callable[[Random, Shape], Arrays]:
    def drawn(random: Random, shape: Shape) -> Arrays:
        counts = random.poisson(3.0, shape).astype(np.float32)
        return random.standard_normal((*shape, parameters), np.float32), counts

    return drawn


def _distributions(random: Random, shape: Shape) -> Arrays:
    return _class_logits(random, shape), _shares(_class_logits(random, shape))


def _classes(random: Random, shape: Shape) -> Arrays:
    logits = _class_logits(random, shape)
    return logits, random.integers(0, CLASSES, len(logits), np.int32)


def _shares_of_classes(random: Random, shape: Shape) -> Arrays:
    logits, targets = _distributions(random, shape)
    return _shares(logits), targets


def _shares_and_classes(random: Random, shape: Shape) -> Arrays:
    logits, classes = _classes(random, shape)
    return _shares(logits), classes


def _log_shares(random: Random, shape: Shape) -> Arrays:
    logits, targets = _distributions(random, shape)
    return np.log(_shares(logits)), targets


def _normal(random: Random, shape: Shape) -> np.ndarray:
    return random.standard_normal(shape, np.float32)


def _class_logits(random: Random, shape: Shape) -> np.ndarray:
    return _normal(random, shape).reshape(-1, CLASSES)


def _shares(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def _apart(prediction: np.ndarray, target: np.ndarray) -> Arrays:
    """Never equal: at the kink of an absolute value libraries have other slopes."""
    return np.where(prediction == target, prediction + 1, prediction), target


KINDS = {
    "numbers": _numbers,
    "positive": _positive,
    "logits": _logits,
    "labels": _labels,
    "probabilities": _probabilities,
    "parameters": _parameters,
    "log rates": _log_rates,
    "count parameters": _count_parameters(2),
    "inflated count parameters": _count_parameters(3),
    "distributions": _distributions,
    "classes": _classes,
    "shares": _shares_of_classes,
    "shares and classes": _shares_and_classes,
    "log shares": _log_shares,
}
