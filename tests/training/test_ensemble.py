"""Many models at once: each is what it would be alone."""

import chex
import jax
import numpy as np
import optax
import pytest
from flax import nnx

from jaxae.losses import bce
from jaxae.models import MLPAutoencoder
from jaxae.training import Checkpoints, fit

KEY = jax.random.key(3)
ADAM = optax.adam(1e-2)


@pytest.fixture
def samples(rng):
    return rng.random((23, 6)).astype(np.float32)


def build(rngs):
    return MLPAutoencoder((6,), (4, 2), rngs=rngs)


def train(model, X, **arguments):
    defaults = {"loss": bce, "epochs": 2, "batch_size": 5, "show_progress": False, "key": KEY}
    return fit(model, X, **({"optimizer": ADAM} | defaults | arguments))


def arrays(model):
    return nnx.to_pure_dict(nnx.state(model))


def test_each_model_is_what_it_would_be_alone(samples):
    models, history = train(build, samples, seeds=3)
    keys = jax.random.split(KEY, 3)
    alone = [train(build(nnx.Rngs(key)), samples, key=key) for key in keys]
    for model, (expected, _) in zip(models, alone, strict=True):
        chex.assert_trees_all_close(arrays(model), arrays(expected), rtol=1e-4, atol=1e-6)
    losses = [rows[-1].train_loss for _, rows in alone]
    assert history[-1].train_loss == pytest.approx(np.mean(losses), rel=1e-5)
    deviation = history[-1].deviation["train_loss"]
    assert deviation == pytest.approx(np.std(losses, ddof=1), rel=1e-3)
    assert history[-1].metrics()["train_loss_std"] == deviation


def test_each_model_may_have_its_own_learning_rate(samples):
    optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
    rates = {"learning_rate": [0.0, 0.1]}
    models, _ = train(build, samples, seeds=2, optimizer=optimizer, hyperparameters=rates)
    begun = [build(nnx.Rngs(key)) for key in jax.random.split(KEY, 2)]
    chex.assert_trees_all_equal(arrays(models[0]), arrays(begun[0]))
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(arrays(models[1]), arrays(begun[1]))


def test_the_model_that_diverges_is_named(samples):
    optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
    rates = {"learning_rate": [0.1, np.inf, 0.1]}
    with pytest.raises(FloatingPointError, match="the loss of model 1 is not finite in update 2"):
        train(build, samples, seeds=3, optimizer=optimizer, hyperparameters=rates)
    with pytest.raises(FloatingPointError, match="parameters of model 1 is not finite in update 1"):
        train(build, samples[:5], seeds=3, optimizer=optimizer, hyperparameters=rates)


def test_keys_of_ones_own_are_taken(samples):
    keys = jax.random.split(KEY, 2)
    models, _ = train(build, samples, seeds=keys)
    same, _ = train(build, samples, seeds=2)
    chex.assert_trees_all_equal(*([arrays(model) for model in x] for x in (models, same)))


def test_all_of_them_are_resumed(samples, tmp_path):
    saved = Checkpoints(tmp_path / "checkpoints")
    train(build, samples, seeds=2, epochs=1, checkpoints=saved)
    models, history = train(build, samples, seeds=2, checkpoints=saved, resume=True)
    expected, whole = train(build, samples, seeds=2)
    chex.assert_trees_all_equal(*([arrays(model) for model in x] for x in (models, expected)))
    assert [row.train_loss for row in history] == [row.train_loss for row in whole]


INJECTED = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
MISTAKES = {
    "no models": ({"seeds": 0}, "seeds is 0, expected at least 1"),
    "too few rates": (
        {"seeds": 3, "hyperparameters": {"learning_rate": [0.1, 0.2]}, "optimizer": INJECTED},
        r"'learning_rate' has shape \(2,\), expected \(3,\)",
    ),
    "an unknown hyperparameter": (
        {"seeds": 1, "hyperparameters": {"rate": [0.1]}, "optimizer": INJECTED},
        "no hyperparameter 'rate', expected one of learning_rate",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake, samples):
    arguments, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message):
        train(build, samples, **arguments)


def test_a_function_that_makes_no_model_is_refused(samples):
    with pytest.raises(TypeError, match="the function made 'a model', expected an NNX module"):
        train(lambda rngs: "a model", samples, seeds=2)


def test_hyperparameters_of_one_model_are_refused(samples):
    with pytest.raises(TypeError, match="they need seeds="):
        train(build(nnx.Rngs(0)), samples, hyperparameters={"learning_rate": [0.1]})
