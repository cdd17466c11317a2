"""The inputs of the golden numbers, and how they are written down: the same for each library."""

import datetime
import json
import platform
from pathlib import Path

import numpy as np

SEED = 0
SHAPE = (4, 3, 5)
MADE = f"numpy.random.default_rng({SEED}), rounded to 3 digits; the numbers themselves are here"


def draw():
    """Arrays by name: N = 4 samples of T = 3 steps of C = 5 features."""
    rng = np.random.default_rng(SEED)
    inputs = {
        "prediction": 1.5 * rng.normal(size=SHAPE),
        "target": rng.normal(size=SHAPE),
        "logits": 2 * rng.normal(size=SHAPE),
        "probability": rng.uniform(0.02, 0.98, SHAPE),
        "grey": rng.uniform(0, 1, SHAPE),
        "binary": rng.integers(0, 2, SHAPE),
        "positive": rng.uniform(0.1, 3, SHAPE),
        "positive_target": rng.uniform(0.1, 3, SHAPE),
        "log_rate": rng.normal(size=SHAPE),
        "count": rng.poisson(2, SHAPE),
        "log_variance": rng.normal(size=SHAPE),
        "classes": rng.integers(0, SHAPE[-1], SHAPE[:2]),
        "distribution": rng.multinomial(10, np.full(SHAPE[-1], 0.2), SHAPE[:2]) / 10,
        "mask": rng.random(SHAPE[:2]) > 0.3,
        "weights": rng.integers(0, 4, SHAPE[:2]) / 2,
        "element_weights": rng.uniform(0, 2, SHAPE),
        "class_weights": rng.uniform(0.5, 2, SHAPE[-1]),
    }
    inputs["one_hot"] = np.eye(SHAPE[-1])[inputs["classes"]]
    inputs["row_prediction"] = inputs["prediction"][:, 0]
    inputs["row_target"] = inputs["target"][:, 0]
    inputs["row_mask"] = inputs["mask"][:, 0]
    inputs["row_weights"] = inputs["weights"][:, 0]
    # row_mask masks nothing; this one does, and its weights do not add up to its length.
    inputs["sample_mask"] = np.array([True, True, False, True])
    inputs["log_probability"] = log_softmax(inputs["logits"])
    inputs["log_target"] = log_softmax(inputs["prediction"])
    inputs["sign"] = 2 * inputs["binary"] - 1
    inputs["ones"] = np.ones(SHAPE[0], int)
    # About half of the events are certain, so that a library's clamp is met.
    certain = 0.75 * np.eye(SHAPE[-1])[rng.integers(0, SHAPE[-1], SHAPE[:2])]
    some = rng.random(SHAPE[:2])[..., None] < 0.5
    inputs["half_certain"] = np.where(some, certain, inputs["probability"])
    return {name: np.round(x, 3) if x.dtype == float else x for name, x in inputs.items()}


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def document(library, options, cases):
    """What a JSON file says: where its numbers are from, the inputs, and the cases."""
    return {
        "library": library,
        "options": options,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "inputs_made": MADE,
        "inputs": {name: x.tolist() for name, x in draw().items()},
        "cases": cases,
    }


def write(path, document):
    """Write it with one line for each array and each case."""
    lines = []
    for key, value in document.items():
        if isinstance(value, dict):
            rows = [f"  {json.dumps(name)}: {json.dumps(x)}" for name, x in value.items()]
            text = "{\n" + ",\n".join(rows) + "\n }"
        elif isinstance(value, list):
            text = "[\n" + ",\n".join(f"  {json.dumps(x)}" for x in value) + "\n ]"
        else:
            text = json.dumps(value)
        lines.append(f" {json.dumps(key)}: {text}")
    Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n")
