"""Write keras.json: the losses of Keras 3, in float64, with its reductions, masks and weights.

Run it in an environment of its own; the library is not a dependency:

    python3 -m venv /tmp/keras
    /tmp/keras/bin/pip install keras==3.15.1 jax==0.10.2
    /tmp/keras/bin/python tests/golden/make_keras.py

With a path it writes there instead.
"""

import itertools
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import keras
from keras.src import backend

sys.path.insert(0, str(Path(__file__).parent))
import inputs

LOSSES = [
    ("MeanSquaredError", "prediction", "target", {}),
    ("MeanAbsoluteError", "prediction", "target", {}),
    ("Huber", "prediction", "target", {"delta": 0.7}),
    ("LogCosh", "prediction", "target", {}),
    ("MeanSquaredLogarithmicError", "positive", "positive_target", {}),
    ("MeanAbsolutePercentageError", "positive", "positive_target", {}),
    ("BinaryCrossentropy", "logits", "grey", {"from_logits": True}),
    ("BinaryCrossentropy", "logits", "binary", {"from_logits": True, "label_smoothing": 0.1}),
    ("BinaryCrossentropy", "probability", "grey", {}),
    ("BinaryCrossentropy", "probability", "binary", {"label_smoothing": 0.1}),
    ("BinaryFocalCrossentropy", "logits", "binary", {"from_logits": True, "gamma": 2.0}),
    (
        "BinaryFocalCrossentropy",
        "logits",
        "binary",
        {"from_logits": True, "gamma": 1.5, "alpha": 0.25, "apply_class_balancing": True},
    ),
    ("BinaryFocalCrossentropy", "probability", "binary", {}),
    ("CategoricalCrossentropy", "logits", "one_hot", {"from_logits": True}),
    (
        "CategoricalCrossentropy",
        "logits",
        "one_hot",
        {"from_logits": True, "label_smoothing": 0.1},
    ),
    ("CategoricalCrossentropy", "half_certain", "one_hot", {}),
    ("CategoricalCrossentropy", "probability", "one_hot", {"label_smoothing": 0.1}),
    ("SparseCategoricalCrossentropy", "logits", "classes", {"from_logits": True}),
    ("SparseCategoricalCrossentropy", "half_certain", "classes", {}),
    (
        "CategoricalFocalCrossentropy",
        "logits",
        "one_hot",
        {"from_logits": True, "gamma": 1.5, "label_smoothing": 0.1},
    ),
    (
        "CategoricalFocalCrossentropy",
        "half_certain",
        "one_hot",
        {"alpha": (0.2, 0.5, 1.0, 2.0, 0.0)},
    ),
    ("KLDivergence", "half_certain", "distribution", {}),
    ("Poisson", "positive", "count", {}),
    ("CosineSimilarity", "prediction", "target", {}),
    ("MeanSquaredError", "row_prediction", "row_target", {}),
    ("Dice", "probability", "binary", {"axis": (1, 2)}),
    ("Tversky", "probability", "binary", {"axis": (1, 2), "alpha": 0.3, "beta": 0.7}),
]
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none"]


def settings():
    """Every loss in every reduction, plainly, with a mask, with weights and with both."""
    for name, prediction, target, options in LOSSES:
        of_samples = prediction.startswith("row_") or "axis" in options
        mask, weights = ("sample_mask", "row_weights") if of_samples else ("mask", "weights")
        for way in itertools.product(REDUCTIONS, (None, mask), (None, weights)):
            yield name, prediction, target, options, *way
        if "axis" in options:
            # Keras's default: the whole batch is one sample.
            batch = {**options, "axis": None}
            yield name, prediction, target, batch, "sum_over_batch_size", None, None


def has_gradient(name, reduction, mask, weights):
    """They take most of the time: the squared error's, and each loss's plainly and with both."""
    if name == "MeanSquaredError":
        return reduction != "none"
    return reduction == "sum_over_batch_size" and (mask is None) == (weights is None)


def cases():
    arrays = {name: jnp.asarray(x) for name, x in inputs.draw().items()}
    for name, prediction, target, options, reduction, mask, weights in settings():
        criterion = getattr(keras.losses, name)(reduction=reduction, dtype="float64", **options)

        def loss(x, criterion=criterion, target=target, mask=mask, weights=weights):
            if mask is not None:
                # A new array, which belongs to this mask only.
                x = x + 0.0
                backend.set_keras_mask(x, arrays[mask])
            return criterion(arrays[target], x, weights and arrays[weights])

        case = {
            "loss": name,
            "options": options,
            "prediction": prediction,
            "target": target,
            "reduction": reduction,
            "mask": mask,
            "weights": weights,
            "value": loss(arrays[prediction]).tolist(),
        }
        if has_gradient(name, reduction, mask, weights):
            case["gradient"] = jax.grad(loss)(arrays[prediction]).tolist()
        yield case


if __name__ == "__main__":
    keras.config.set_floatx("float64")
    library = f"keras {keras.__version__} on jax {jax.__version__}"
    path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("keras.json")
    inputs.write(
        path,
        inputs.document(
            library,
            "float64, of which Keras computes means in float32; epsilon 1e-7",
            list(cases()),
        ),
    )
