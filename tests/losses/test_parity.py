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
    CategoricalCrossEntropy,
    binary_cross_entropy,
    categorical_cross_entropy,
    categorical_cross_entropy_from_classes,
    event_of,
)
from jaxae.losses.conventions import (
    TORCH_MEAN,
    TORCH_WEIGHTED_MEAN,
    LastAxisMean,
)
from tests.losses.libraries import CONVENTIONS, ERRORS, OF_CLASSES, WEIGHTED, before

GOLDEN = Path(__file__).parents[1] / "golden"
# Keras's mean of float64 numbers is computed in float32.
RTOL = {"keras": 5e-7, "torch": 1e-11, "optax": 1e-11}


@functools.cache
def golden(library):
    return json.loads((GOLDEN / f"{library}.json").read_text())


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
    if event_of(error).elementwise:
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
