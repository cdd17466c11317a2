import inspect

import jax
import jax.numpy as jnp
import pytest

from jaxae.losses import (
    Loss,
    bce,
    bce_from_probabilities,
    from_logits,
    gaussian,
    mae,
    mse,
    squared_error,
)
from jaxae.models import MLPAutoencoder
from jaxae.objectives import View, reconstruction


def view(**arguments):
    model = MLPAutoencoder((5,), (3,), **arguments)
    x = jnp.linspace(0, 1, 5)
    return View(model, x, x, model(x), jax.random.key(0))


def value(loss, view):
    return reconstruction(loss).sample(view).value


def test_a_loss_of_logits_gets_the_logits():
    v = view()
    assert value(bce, v) == bce.mean(v.outputs.prediction, v.target).value


@pytest.mark.parametrize("loss", [mse, mae, bce_from_probabilities], ids=lambda loss: loss.name)
def test_a_loss_on_the_scale_of_the_data_gets_the_reconstruction(loss):
    v = view()
    pixels = jax.nn.sigmoid(v.outputs.prediction)
    assert value(loss, v) == loss.mean(pixels, v.target).value


def test_a_gaussian_prediction_is_the_reconstruction():
    v = view(likelihood=gaussian)
    assert value(mse, v) == mse.mean(v.outputs.prediction, v.target).value


def test_the_likelihoods_own_error_gets_the_prediction():
    v = view(likelihood=gaussian)
    loss = Loss(gaussian.error)
    assert value(loss, v) == loss.mean(v.outputs.prediction, v.target).value


def test_a_marked_error_of_ones_own_gets_the_logits():
    @from_logits
    def brier(logits, target):
        return (jax.nn.sigmoid(logits) - target) ** 2

    v = view()
    assert value(Loss(brier), v) == pytest.approx(float(value(mse, v)), rel=1e-6)


def test_logits_are_not_expected_of_a_model_that_has_none():
    with pytest.raises(ValueError, match=r"another likelihood than the model's.*likelihood_for"):
        value(bce, view(likelihood=gaussian))


def test_the_coefficient_is_the_terms():
    assert reconstruction(mse, coefficient=0.5).coefficient == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mse",), "got 'mse', expected a loss; of a plain error make one"),
        ((squared_error,), "expected a loss; of a plain error make one"),
        ((None,), "got None, expected a loss"),
        ((mse, "a"), "the coefficient is 'a', expected a Python number"),
        ((mse, None), "the coefficient is None, expected a Python number"),
    ],
)
def test_what_is_no_loss_or_coefficient_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        inspect.unwrap(reconstruction)(*arguments)


@pytest.mark.parametrize("name", ["where", "weights"])
def test_masks_and_weights_that_are_no_functions_of_a_view_are_refused(name):
    for wrong in ("sample_weight", jnp.ones(5), True):
        with pytest.raises(TypeError, match=f"{name} is .*, expected a function of the View"):
            inspect.unwrap(reconstruction)(mse, **{name: wrong})


def known(view):
    return view.target > 0.3


def importance(view):
    return view.input


def test_a_mask_and_weights_of_its_own_are_read_from_the_view():
    v = view()
    pixels = jax.nn.sigmoid(v.outputs.prediction)
    expected = mse.mean(pixels, v.target, where=v.target > 0.3, weights=v.input)
    got = reconstruction(mse, where=known, weights=importance)
    assert got.sample(v) == expected
    assert got == reconstruction(mse, where=known, weights=importance) != reconstruction(mse)
