"""What bad input gets, of losses whose errors are not of single numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    HuberError,
    Loss,
    analytic_gradient,
    cce,
    cce_from_classes,
    cosine,
    discretised_logistic_nll,
    gaussian_kl,
    learned_gaussian_nll,
    mse,
    negative_binomial_nll,
    ssim,
    zero_inflated_negative_binomial_nll,
)

ONE = np.ones((4, 3), np.float32)
CLASSES = np.ones(4, np.int32)
IMAGES = np.ones((4, 12, 12), np.float32)
MISTAKES = {
    "one sample of classes": (cce, (ONE[0], ONE[0]), {}, r"\(3,\), expected 2 axes or more"),
    "no class": (cce, (ONE[:, :0], ONE[:, :0]), {}, "last axis that is not 0"),
    "classes of another batch": (cce_from_classes, (ONE, CLASSES[:3]), {}, "one more axis"),
    "a weight for each class": (cce, (ONE, ONE), {"weights": ONE}, r"expected \(4,\), a prefix"),
    "a weight for each pixel": (ssim, (IMAGES, IMAGES), {"weights": ONE}, "from a whole sample"),
    "a weight for each number": (
        cosine,
        (ONE, ONE),
        {"weights": ONE},
        r"expected \(4,\), a prefix",
    ),
    "a mask of another batch": (
        *(cosine, (ONE, ONE), {"where": ONE[:3] > 0}),
        r"\(4,\) or \(4, 3\)",
    ),
    "latents that differ": (gaussian_kl, (ONE, ONE[:, :2]), {}, "mean has shape.*log_variance"),
    "a scalar mask": (
        mse,
        (ONE, ONE),
        {"where": np.array(True)},
        "where is a scalar, expected one",
    ),
}
PARAMETERS = {
    learned_gaussian_nll: 2,
    negative_binomial_nll: 2,
    discretised_logistic_nll: 2,
    zero_inflated_negative_binomial_nll: 3,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_shapes_that_do_not_agree_are_named(mistake):
    loss, arrays, arguments, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message):
        loss(*arrays, **arguments)


@pytest.mark.parametrize("loss", PARAMETERS, ids=lambda loss: loss.name)
def test_another_number_of_parameters_is_refused(loss):
    for wrong in {1, 2, 3, 4} - {PARAMETERS[loss]}:
        with pytest.raises(ValueError, match=f"expected {PARAMETERS[loss]} on the last axis"):
            loss(np.ones((4, 3, wrong), np.float32), ONE)
    assert jnp.isfinite(loss(np.ones((4, 3, PARAMETERS[loss]), np.float32), ONE))


NO_ARRAYS = {
    "None": (None, "None, expected"),
    "a string": ("A", "'A', expected"),
    "a list": ([[1.0, 2.0]], r"\[\[1\.0, 2\.0\]\], expected"),
    "an object": (np.array([[None, 1]]), "has dtype object, expected"),
    "strings": (np.array(["A"]), "has dtype <U1, expected"),
    "a date": (np.array(["2020-01-01"], "M8[D]"), r"has dtype datetime64\[D\], expected"),
    "a key": (jax.random.key(0), "has dtype key<fry>, a random key, expected"),
    "a loss": (mse, "Loss mse.*expected|Loss.*expected"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("wrong", NO_ARRAYS)
def test_what_is_no_array_of_numbers_is_named(wrong):
    bad, message = NO_ARRAYS[wrong]
    for call in (mse, mse.mean, mse.per_sample, mse.merged, analytic_gradient(mse)):
        with pytest.raises(TypeError, match=f"^prediction .*{message} an array of numbers"):
            call(bad, ONE)
        with pytest.raises(TypeError, match=f"^target .*{message} an array of numbers"):
            call(ONE, bad)
        for name in ("where", "weights"):
            if bad is not None:
                with pytest.raises(TypeError, match=f"^{name} .*{message} an array of numbers"):
                    call(ONE, ONE, **{name: bad})


def test_python_numbers_are_arrays_of_one_sample():
    assert mse.mean(3.0, 1).value == 4


@pytest.mark.parametrize("error", ["mse", 2.0, None, mse, HuberError])
def test_an_error_that_is_no_function_is_refused(error):
    loss = Loss(abs)
    object.__setattr__(loss, "error", error)  # the tests' type checker refuses it earlier
    with pytest.raises(TypeError, match="expected a function of arrays"):
        loss.__post_init__()


@pytest.mark.parametrize("wrong", [None, "batch", 1, ["sample"]])
def test_an_unknown_unit_or_count_is_refused(wrong):
    for name, options in (("unit", "element, sample, total"), ("count", "weight, valid, nonzero")):
        loss = Loss(abs)
        object.__setattr__(loss, name, wrong)
        with pytest.raises(ValueError, match=f"{name} is .*, expected one of {options}"):
            loss.__post_init__()


def test_an_argument_with_a_default_is_a_hyperparameter():
    def powered(prediction, target, power=3):
        return abs(prediction - target) ** power

    assert Loss(powered)(2 * ONE, ONE) == 1
    with pytest.raises(TypeError, match="got 3 arrays, expected 2: prediction, target"):
        Loss(powered)(ONE, ONE, ONE)


def test_mistakes_are_named_under_jit_too():
    with pytest.raises(ValueError, match="nothing is broadcast"):
        jax.jit(learned_gaussian_nll)(np.ones((4, 2, 2), np.float32), ONE)
