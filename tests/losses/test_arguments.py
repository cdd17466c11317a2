"""What bad input gets, of losses whose errors are not of single numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    Loss,
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


@pytest.mark.parametrize("error", ["mse", 2.0, None])
def test_an_error_that_is_no_function_is_refused(error):
    loss = Loss(abs)
    object.__setattr__(loss, "error", error)  # the tests' type checker refuses it earlier
    with pytest.raises(TypeError, match="expected a function of arrays"):
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
