"""Write optax.json: the losses of optax, elementwise, in float64.

Run it in an environment of its own, or in the one of the tests, which has optax:

    python3 -m venv /tmp/optax
    /tmp/optax/bin/pip install optax==0.2.8 jax==0.10.2
    /tmp/optax/bin/python tests/golden/make_optax.py
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

sys.path.insert(0, str(Path(__file__).parent))
import inputs

# loss: (function, prediction, target, options)
CASES = [
    ("squared_error", optax.squared_error, "prediction", "target", {}),
    ("l2_loss", optax.l2_loss, "prediction", "target", {}),
    ("huber_loss", optax.huber_loss, "prediction", "target", {"delta": 0.7}),
    ("log_cosh", optax.log_cosh, "prediction", "target", {}),
    ("sigmoid_binary_cross_entropy", optax.sigmoid_binary_cross_entropy, "logits", "grey", {}),
    ("sigmoid_focal_loss", optax.sigmoid_focal_loss, "logits", "binary", {"gamma": 2.0}),
    (
        "sigmoid_focal_loss",
        optax.sigmoid_focal_loss,
        "logits",
        "binary",
        {"alpha": 0.25, "gamma": 1.5},
    ),
    ("softmax_cross_entropy", optax.softmax_cross_entropy, "logits", "one_hot", {}),
    ("softmax_cross_entropy", optax.softmax_cross_entropy, "logits", "distribution", {}),
    (
        "softmax_cross_entropy_with_integer_labels",
        optax.softmax_cross_entropy_with_integer_labels,
        "logits",
        "classes",
        {},
    ),
    (
        "safe_softmax_cross_entropy",
        optax.losses.safe_softmax_cross_entropy,
        "logits",
        "one_hot",
        {},
    ),
    ("cosine_distance", optax.cosine_distance, "prediction", "target", {}),
    ("cosine_similarity", optax.losses.cosine_similarity, "prediction", "target", {}),
    ("poly_loss_cross_entropy", optax.losses.poly_loss_cross_entropy, "logits", "one_hot", {}),
    ("dice_loss", optax.losses.dice_loss, "logits", "one_hot", {"alpha": 0.3, "beta": 0.7}),
    ("binary_dice_loss", optax.losses.binary_dice_loss, "logits", "binary", {}),
    ("kl_divergence", optax.losses.kl_divergence, "log_probability", "distribution", {}),
    (
        "kl_divergence_with_log_targets",
        optax.losses.kl_divergence_with_log_targets,
        "log_probability",
        "log_target",
        {},
    ),
    (
        "generalized_kl_divergence",
        optax.losses.generalized_kl_divergence,
        "log_rate",
        "distribution",
        {},
    ),
]


def cases():
    arrays = {name: jnp.asarray(x) for name, x in inputs.draw().items()}
    for name, function, prediction, target, options in CASES:
        labels = arrays[target]
        labels = labels if target == "classes" else labels.astype(jnp.float64)

        @jax.jit
        def sum_and_value(x, function=function, labels=labels, options=options):
            errors = function(x, labels, **options)
            return errors.sum(), errors

        gradient, value = jax.grad(sum_and_value, has_aux=True)(arrays[prediction])
        yield {
            "loss": name,
            "options": options,
            "prediction": prediction,
            "target": target,
            "reduction": "none",
            "mask": None,
            "weights": None,
            "value": value.tolist(),
            "gradient": gradient.tolist(),
        }


def record():
    with jax.enable_x64(True):
        library = f"optax {optax.__version__} on jax {jax.__version__}"
        return inputs.document(library, "float64", list(cases()))


if __name__ == "__main__":
    inputs.write(Path(__file__).with_name("optax.json"), record())
