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
    CategoricalFocalError,
    ClippedBinaryCrossEntropy,
    ClippedCategoricalCrossEntropy,
    ClippedCategoricalCrossEntropyFromClasses,
    ClippedCategoricalFocalError,
    ClippedKLDivergence,
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
    generalised_kl_divergence_error,
    heteroscedastic_gaussian_error,
    kl_divergence_error,
    kl_divergence_error_from_log_targets,
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
    LastAxisSum,
    Scaled,
)

GOLDEN = Path(__file__).parents[1] / "golden"
TORCH_EPSILON = 1e-8  # of poisson_nll_loss
# Keras's mean of float64 numbers is computed in float32.
RTOL = {"keras": 5e-7, "torch": 1e-11, "optax": 1e-11}


@functools.cache
def golden(library):
    return json.loads((GOLDEN / f"{library}.json").read_text())


def keras_binary(from_logits=False, label_smoothing=0.0):
    if from_logits:
        return BinaryCrossEntropy(label_smoothing=label_smoothing)
    return ClippedBinaryCrossEntropy(KERAS_EPSILON, label_smoothing)


def keras_binary_focal(from_logits=False, gamma=2.0, alpha=None, apply_class_balancing=False):
    """From a probability it is that of its logit, which `BEFORE` takes."""
    return FocalError(gamma, alpha if apply_class_balancing else None)


def keras_categorical(from_logits=False, label_smoothing=0.0):
    if from_logits:
        return CategoricalCrossEntropy(label_smoothing)
    return ClippedCategoricalCrossEntropy(KERAS_EPSILON, label_smoothing)


def keras_sparse(from_logits=False):
    if from_logits:
        return categorical_cross_entropy_from_classes
    return ClippedCategoricalCrossEntropyFromClasses(KERAS_EPSILON)


def keras_categorical_focal(from_logits=False, gamma=2.0, alpha=0.25, label_smoothing=0.0):
    """A weight of all classes, a quarter unless given, is a factor."""
    error = CategoricalFocalError if from_logits else ClippedCategoricalFocalError
    if isinstance(alpha, list):
        return error(gamma, tuple(alpha), label_smoothing)
    return Scaled(error(gamma, label_smoothing=label_smoothing), alpha)


def without_factorial(log_rate, target):
    """Libraries leave out log y!, a constant."""
    return poisson_error(log_rate, target) - jax.lax.lgamma(target + 1)


def with_stirling(log_rate, target):
    """torch has Stirling's approximation of log y!, from 2 on."""
    many = jnp.maximum(target, 2)
    stirling = many * jnp.log(many) - many + 0.5 * jnp.log(2 * np.pi * many)
    return without_factorial(log_rate, target) + jnp.where(target > 1, stirling, 0)


def of_rate(epsilon):
    """The rate − y log(rate + ε), where log_rate = log(rate + ε)."""
    return lambda log_rate, target: without_factorial(log_rate, target) - epsilon


def torch_poisson(log_input, full):
    if full:
        return with_stirling
    return without_factorial if log_input else of_rate(TORCH_EPSILON)


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


def torch_kl(log_target):
    return kl_divergence_error_from_log_targets if log_target else kl_divergence_error


def soft_margin(logits, sign):
    """Binary cross-entropy of targets −1 and 1."""
    return binary_cross_entropy(logits, 0.5 * (1 + sign))


def poly(logits, target):
    """Cross-entropy, and the probability of the other classes twice."""
    p = jax.nn.softmax(logits)
    return categorical_cross_entropy(logits, target) + 2 * (target * (1 - p)).sum(-1)


def optax_dice(alpha, beta):
    """The mean of what each class is, whose shape of a sample is the steps'."""
    of_classes = jax.vmap(TverskyError(alpha, beta, smoothing=1.0), in_axes=-1)
    of_samples = jax.vmap(of_classes)
    return lambda logits, target: of_samples(jax.nn.softmax(logits), target).mean(-1)


def optax_binary_dice(logits, target):
    return jax.vmap(TverskyError(smoothing=1.0))(jax.nn.sigmoid(logits), target)


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
        "BinaryFocalCrossentropy": keras_binary_focal,
        "CategoricalCrossentropy": keras_categorical,
        "CategoricalFocalCrossentropy": keras_categorical_focal,
        "SparseCategoricalCrossentropy": keras_sparse,
        "KLDivergence": lambda: LastAxisSum(ClippedKLDivergence(KERAS_EPSILON)),
        "Poisson": lambda: of_rate(KERAS_EPSILON),
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
        "multilabel_soft_margin_loss": lambda: LastAxisMean(binary_cross_entropy),
        "soft_margin_loss": lambda: soft_margin,
        "kl_div": torch_kl,
        "poisson_nll_loss": torch_poisson,
        "gaussian_nll_loss": gaussian,
        "cosine_embedding_loss": lambda: cosine_distance_of_vectors,
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
        "safe_softmax_cross_entropy": lambda: categorical_cross_entropy,
        "cosine_distance": lambda: cosine_distance_of_vectors,
        "cosine_similarity": lambda: lambda *x: 1 - cosine_distance_of_vectors(*x),
        "poly_loss_cross_entropy": lambda: poly,
        "dice_loss": optax_dice,
        "binary_dice_loss": lambda: optax_binary_dice,
        "kl_divergence": lambda: LastAxisSum(kl_divergence_error),
        "kl_divergence_with_log_targets": lambda: LastAxisSum(kl_divergence_error_from_log_targets),
        "generalized_kl_divergence": lambda: LastAxisSum(generalised_kl_divergence_error),
    },
}


def before(case):
    """What is done to the prediction before the error, where the library does it itself."""
    options = case["options"]
    if case["loss"] == "Poisson":
        return lambda rate: jnp.log(rate + KERAS_EPSILON)
    if case["loss"] == "poisson_nll_loss" and not options["log_input"]:
        return lambda rate: jnp.log(rate + TORCH_EPSILON)
    if case["loss"] == "BinaryFocalCrossentropy" and not options.get("from_logits"):
        return lambda p: jnp.log(p) - jnp.log1p(-p)
    if case["loss"] == "nll_loss":
        return jax.nn.log_softmax
    if options.get("axis", ()) is None:
        # Without axes the whole batch is one sample, whatever the reduction: another number.
        return lambda x: x[None]
    return lambda x: x


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
WEIGHTED = ("mse_loss", "l1_loss")
OF_CLASSES = ("cross_entropy", "nll_loss")


def arrays_of(document):
    return {
        name: jnp.asarray(np.asarray(x, np.bool_ if "mask" in name else None))
        for name, x in document["inputs"].items()
    }


def ours(library, case, arrays):
    """The same number from jaxae, as a function of the prediction."""
    error = ERRORS[library][case["loss"]](**case["options"])
    if case["options"].get("axis", ()) is None:
        arrays = {name: x[None] for name, x in arrays.items()}
    others = [arrays["log_variance"]] if case["loss"] == "gaussian_nll_loss" else []
    others.append(arrays[case["target"]])
    where, weights = (case[name] and arrays[case[name]] for name in ("mask", "weights"))
    if case["loss"] == "multilabel_soft_margin_loss" and weights is not None:
        error, weights = LastAxisMean(weighted(binary_cross_entropy, weights)), None
    if case["reduction"] == "none" and library == "keras":
        error = keras_unreduced(error)
    convention = CONVENTIONS[library].get(case["reduction"])
    if convention is TORCH_MEAN and weights is not None and case["loss"] in WEIGHTED:
        convention = TORCH_WEIGHTED_MEAN
    value = reduced(convention, error, others, where, weights)
    return lambda x: value(before(case)(x))


def weighted(error, class_weights):
    """The error with weights along its last axis, which are no weights of samples."""
    return lambda logits, target: (
        error(logits, target) * jnp.broadcast_to(class_weights, target.shape)
    )


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
    if loss not in OF_CLASSES
]


@pytest.mark.parametrize(("library", "loss"), SETTINGS)
def test_value_and_gradient_are_the_librarys(library, loss):
    with jax.enable_x64(True):
        arrays = arrays_of(golden(library))
        for case in golden(library)["cases"]:
            if case["loss"] == loss:
                check(library, case, ours(library, case, arrays), arrays[case["prediction"]])


def test_cross_entropy_of_torch_has_class_weights_in_its_denominator_and_ignores_by_a_mask():
    cases = [case for case in golden("torch")["cases"] if case["loss"] in OF_CLASSES]
    with jax.enable_x64(True):
        arrays = arrays_of(golden("torch"))
        for case in cases:
            value = torch_cross_entropy(case, arrays)
            check("torch", case, lambda x, v=value, c=case: v(before(c)(x)), arrays["logits"])


def torch_cross_entropy(case, arrays):
    classes, options, target = arrays["classes"], case["options"], arrays[case["target"]]
    conventions = {**CONVENTIONS["torch"], "mean": TORCH_WEIGHTED_MEAN}
    convention = conventions.get(case["reduction"])
    if case["target"] == "distribution":
        # The weights of the classes are part of the target, and not in the denominator.
        ones = np.ones(target.shape[-1])
        target = target * jnp.broadcast_to(arrays.get(case["weights"], ones), target.shape)
        return reduced(convention, categorical_cross_entropy, [target], None, None)
    weights = case["weights"] and arrays[case["weights"]][classes]
    where = classes != options["ignore_index"] if "ignore_index" in options else None
    if "label_smoothing" in options:
        error = CategoricalCrossEntropy(**options)
        return reduced(convention, error, [arrays["one_hot"]], where, weights)
    return reduced(convention, categorical_cross_entropy_from_classes, [target], where, weights)


def test_every_loss_of_torch_is_there_in_every_reduction_with_its_weights():
    found = {}
    for case in golden("torch")["cases"]:
        key = case["loss"], str(case["options"]), case["prediction"], case["target"]
        found.setdefault((*key, case["weights"]), []).append(case["reduction"])
    for (loss, *_), reductions in found.items():
        more = ["batchmean"] if loss == "kl_div" else []
        assert reductions == ["mean", "sum", "none", *more]
    assert len(found) > 30


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
