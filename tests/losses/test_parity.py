"""What keras, torch and optax compute, beside the conventions: golden numbers, and live ones.

tests/golden/*.json say which version computed them, from which inputs, and which script did.
"""

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    AbsolutePercentageError,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    ClippedBinaryCrossEntropy,
    Event,
    FocalError,
    HuberError,
    TverskyError,
    absolute_error,
    binary_cross_entropy,
    binary_cross_entropy_from_probabilities,
    categorical_cross_entropy,
    categorical_cross_entropy_from_classes,
    cosine_distance_of_vectors,
    event_of,
    heteroscedastic_gaussian_error,
    log_cosh_error,
    poisson_error,
    squared_error,
    squared_log_error,
    takes,
)
from jaxae.losses.conventions import (
    KERAS_3,
    KERAS_3_SUM,
    KERAS_3_WEIGHTED,
    KERAS_EPSILON,
    TORCH_BATCHMEAN,
    TORCH_MEAN,
    TORCH_SUM,
    TORCH_WEIGHTED_MEAN,
    LastAxisMean,
    Scaled,
)

GOLDEN = Path(__file__).parents[1] / "golden"
# Keras's mean of float64 numbers is computed in float32.
RTOL = {"keras": 5e-7, "torch": 1e-11, "optax": 1e-11}


@functools.cache
def golden(library):
    return json.loads((GOLDEN / f"{library}.json").read_text())


def keras_binary(from_logits=False, label_smoothing=0.0):
    if from_logits:
        return BinaryCrossEntropy(label_smoothing=label_smoothing)
    return ClippedBinaryCrossEntropy(KERAS_EPSILON, label_smoothing)


def keras_focal(from_logits, gamma, alpha=None, apply_class_balancing=False):
    assert from_logits
    return FocalError(gamma, alpha if apply_class_balancing else None)


def without_factorial(log_rate, target):
    """Libraries leave out log y!, a constant."""
    return poisson_error(log_rate, target) - jax.lax.lgamma(target + 1)


def keras_poisson(log_rate, target):
    """The rate − y log(rate + ε), where log_rate = log(rate + ε)."""
    return without_factorial(log_rate, target) - KERAS_EPSILON


@takes(Event(1, 1))
def minus_cosine(prediction, target):
    return cosine_distance_of_vectors(prediction, target) - 1


def keras_tversky(axis, alpha=0.5, beta=0.5):
    """Keras's alpha weighs Σ (1 − p)y, the false negatives, though its help says positives."""
    return TverskyError(alpha=beta, beta=alpha)


def gaussian(full):
    """torch leaves out ½ log 2π unless it is asked for."""
    constant = 0 if full else 0.5 * np.log(2 * np.pi)

    def error(mean, log_variance, target):
        return (
            heteroscedastic_gaussian_error(jnp.stack([mean, log_variance], -1), target) - constant
        )

    return error


def kullback_leibler(log_probability, target):
    return jax.scipy.special.xlogy(target, target) - target * log_probability


# What each library calls an error, and the options that it takes.
ERRORS = {
    "keras": {
        "MeanSquaredError": lambda: squared_error,
        "MeanAbsoluteError": lambda: absolute_error,
        "Huber": HuberError,
        "LogCosh": lambda: log_cosh_error,
        "MeanSquaredLogarithmicError": lambda: squared_log_error,
        "MeanAbsolutePercentageError": lambda: AbsolutePercentageError(KERAS_EPSILON),
        "BinaryCrossentropy": keras_binary,
        "BinaryFocalCrossentropy": keras_focal,
        "CategoricalCrossentropy": lambda from_logits, label_smoothing=0.0: CategoricalCrossEntropy(
            label_smoothing=label_smoothing
        ),
        "SparseCategoricalCrossentropy": lambda from_logits: categorical_cross_entropy_from_classes,
        "Poisson": lambda: keras_poisson,
        "CosineSimilarity": lambda: minus_cosine,
        "Dice": keras_tversky,
        "Tversky": keras_tversky,
    },
    "torch": {
        "mse_loss": lambda: squared_error,
        "l1_loss": lambda: absolute_error,
        "huber_loss": HuberError,
        "smooth_l1_loss": lambda beta: Scaled(HuberError(beta), 1 / beta),
        "binary_cross_entropy": lambda: binary_cross_entropy_from_probabilities,
        "binary_cross_entropy_with_logits": BinaryCrossEntropy,
        "kl_div": lambda: kullback_leibler,
        "poisson_nll_loss": lambda log_input: without_factorial,
        "gaussian_nll_loss": gaussian,
    },
    "optax": {
        "squared_error": lambda: squared_error,
        "l2_loss": lambda: Scaled(squared_error, 0.5),
        "huber_loss": HuberError,
        "log_cosh": lambda: log_cosh_error,
        "sigmoid_binary_cross_entropy": lambda: binary_cross_entropy,
        "sigmoid_focal_loss": FocalError,
        "softmax_cross_entropy": lambda: categorical_cross_entropy,
        "softmax_cross_entropy_with_integer_labels": lambda: categorical_cross_entropy_from_classes,
        "cosine_distance": lambda: cosine_distance_of_vectors,
    },
}
# What is done to the prediction before the error, where the library does it itself.
BEFORE = {
    "Poisson": lambda rate: jnp.log(rate + KERAS_EPSILON),
    "kl_div": lambda logits: jax.nn.log_softmax(logits),
}
CONVENTIONS = {
    "keras": {
        "sum_over_batch_size": KERAS_3,
        "mean": KERAS_3,
        "mean_with_sample_weight": KERAS_3_WEIGHTED,
        "sum": KERAS_3_SUM,
    },
    "optax": {},
    "torch": {"mean": TORCH_MEAN, "sum": TORCH_SUM, "batchmean": TORCH_BATCHMEAN},
}
# Of torch's losses, those whose mean divides by the weights; the others divide by numel.
WEIGHTED = ("mse_loss", "l1_loss", "cross_entropy")


def arrays_of(document):
    return {
        name: jnp.asarray(np.asarray(x, np.bool_ if "mask" in name else None))
        for name, x in document["inputs"].items()
    }


def ours(library, case, arrays):
    """The same number from jaxae, as a function of the prediction."""
    error = ERRORS[library][case["loss"]](**case["options"])
    before = BEFORE.get(case["loss"], lambda x: x)
    if "axis" in case["options"] and case["options"]["axis"] is None:
        # Without axes the whole batch is one sample, whatever the reduction: another number.
        arrays = {name: x[None] for name, x in arrays.items()}
        before = lambda x: x[None]  # noqa: E731
    others = [arrays["log_variance"]] if case["loss"] == "gaussian_nll_loss" else []
    others.append(arrays[case["target"]])
    where, weights = (case[name] and arrays[case[name]] for name in ("mask", "weights"))
    if case["reduction"] == "none" and library == "keras":
        error = keras_unreduced(error)
    convention = CONVENTIONS[library].get(case["reduction"])
    if convention is TORCH_MEAN and weights is not None and case["loss"] in WEIGHTED:
        convention = TORCH_WEIGHTED_MEAN
    value = reduced(convention, error, others, where, weights)
    return lambda x: value(before(x))


def keras_unreduced(error):
    """What Keras has before it reduces: a number for each step, or for each sample of a set."""
    if event_of(error) == Event():
        return LastAxisMean(error)
    return jax.vmap(error) if event_of(error).target is None else error


def reduced(convention, error, others, where, weights):
    """The loss as a function of the prediction; without a convention, the weighted errors."""
    if convention is not None:
        return lambda x: convention(error)(x, *others, where=where, weights=weights)

    def errors(x):
        floats = [y if event_of(error).classes else y.astype(x.dtype) for y in others]
        kept = [1.0 if mask is None else mask.astype(x.dtype) for mask in (where, weights)]
        return error(x, *floats) * kept[0] * kept[1]

    return errors


def check(library, case, value, x):
    """The value, and the gradient of its sum where the library's is known, in float64."""

    def total(x):
        got = value(x)
        return got.sum(), got

    # The cases are many and small, and share their operations: those are compiled once.
    with jax.disable_jit():
        if "gradient" in case:
            gradient, got = jax.grad(total, has_aux=True)(x)
        else:
            gradient, got = None, value(x)
    same(library, case, got, gradient)


def same(library, case, value, gradient):
    rtol, message = RTOL[library], str({**case, "value": "", "gradient": ""})
    np.testing.assert_allclose(value, case["value"], rtol=rtol, atol=1e-14, err_msg=message)
    if "gradient" in case:
        np.testing.assert_allclose(gradient, case["gradient"], rtol=10 * rtol, atol=rtol / 100)


SETTINGS = [
    (library, loss)
    for library in ERRORS
    for loss in dict.fromkeys(case["loss"] for case in golden(library)["cases"])
    if loss != "cross_entropy"
]


@pytest.mark.parametrize(("library", "loss"), SETTINGS)
def test_value_and_gradient_are_the_librarys(library, loss):
    with jax.enable_x64(True):
        arrays = arrays_of(golden(library))
        for case in golden(library)["cases"]:
            if case["loss"] == loss:
                check(library, case, ours(library, case, arrays), arrays[case["prediction"]])


def test_cross_entropy_of_torch_has_class_weights_in_its_denominator_and_ignores_by_a_mask():
    cases = [case for case in golden("torch")["cases"] if case["loss"] == "cross_entropy"]
    conventions = {**CONVENTIONS["torch"], "mean": TORCH_WEIGHTED_MEAN}
    with jax.enable_x64(True):
        arrays = arrays_of(golden("torch"))
        classes = arrays["classes"]
        for case in cases:
            options, target = case["options"], arrays[case["target"]]
            weights = case["weights"] and arrays[case["weights"]][classes]
            where = classes != options["ignore_index"] if "ignore_index" in options else None
            if "label_smoothing" in options:
                error, target = CategoricalCrossEntropy(**options), arrays["one_hot"]
            elif case["target"] == "classes":
                error = categorical_cross_entropy_from_classes
            else:
                error = categorical_cross_entropy
            convention = conventions.get(case["reduction"])
            value = reduced(convention, error, [target], where, weights)
            check("torch", case, value, arrays["logits"])


@pytest.mark.parametrize("prediction", ["prediction", "row_prediction"])
def test_every_convention_of_a_loss_has_another_number(prediction):
    """The golden cases tell conventions apart: no two numbers agree by chance."""
    plain = [c for c in golden("keras")["cases"] if c["loss"] == "MeanSquaredError"]
    values = {
        (c["reduction"], c["mask"], c["weights"]): c["value"]
        for c in plain
        if c["prediction"] == prediction and c["reduction"] not in ("none", "mean")
    }
    distinct = {round(value, 9) for value in values.values()}
    # Without weights both means are the same, with a mask and without.
    assert len(distinct) == len(values) - 2


@pytest.mark.parametrize("loss", ["Dice", "Tversky"])
def test_a_set_of_keras_is_the_whole_batch_unless_its_axes_are_given(loss):
    """The default, axis=None, is one number for the batch: no mean of the samples' errors."""
    plain = {
        str(c["options"]["axis"]): c["value"]
        for c in golden("keras")["cases"]
        if c["loss"] == loss and c["reduction"] == "sum_over_batch_size"
        if not c["mask"] and not c["weights"]
    }
    assert plain["None"] != pytest.approx(plain["[1, 2]"], rel=1e-4)


def test_live_optax_computes_the_golden_numbers():
    """optax promotes dtypes itself."""
    specification = importlib.util.spec_from_file_location("make_optax", GOLDEN / "make_optax.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        specification.loader.exec_module(module)
        same_numbers(module.record(), "optax")


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="keras is not installed")
def test_live_keras_computes_the_golden_numbers(tmp_path):
    path = tmp_path / "keras.json"
    command = [sys.executable, str(GOLDEN / "make_keras.py"), str(path)]
    subprocess.run(command, env=os.environ | {"KERAS_BACKEND": "jax"}, check=True)
    same_numbers(json.loads(path.read_text()), "keras")


def same_numbers(live, library):
    """jaxae has the golden numbers, so a library that has them too agrees with jaxae."""
    for name, x in golden(library)["inputs"].items():
        np.testing.assert_array_equal(live["inputs"][name], x)
    for case, now in zip(golden(library)["cases"], live["cases"], strict=True):
        assert {**case, "value": 0, "gradient": 0} == {**now, "value": 0, "gradient": 0}
        same(library, case, now["value"], now.get("gradient"))
