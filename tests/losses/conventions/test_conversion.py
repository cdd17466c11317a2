"""Training with optax in float64 under two conventions, hyperparameters converted or not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxae.losses import squared_error
from jaxae.losses.conventions import HINTON_2006, SGD, TORCH_MEAN, Adam, constant

SHAPE = (8, 5)
K = constant(TORCH_MEAN, HINTON_2006, SHAPE)


def clip(norm):
    return optax.identity() if norm is None else optax.clip_by_global_norm(norm)


def sgd(h, momentum):
    decay = optax.add_decayed_weights(h.weight_decay)
    return optax.chain(clip(h.clip_norm), decay, optax.sgd(h.learning_rate, momentum))


def adam(h):
    penalty = optax.add_decayed_weights(h.l2)
    step = optax.adamw(h.learning_rate, eps=h.epsilon, weight_decay=h.weight_decay)
    return optax.chain(clip(h.clip_norm), penalty, step)


def trained(convention, optimizer, steps=50):
    """A linear autoencoder's parameters after 50 steps."""
    rng = np.random.default_rng(0)
    X = jnp.asarray(rng.normal(size=SHAPE))
    parameters = {"encoder": rng.normal(size=(5, 2)), "decoder": rng.normal(size=(2, 5))}
    parameters = jax.tree.map(jnp.asarray, parameters)
    loss = convention(squared_error)

    def step(carry, _):
        parameters, state = carry
        gradient = jax.grad(lambda p: loss(X @ p["encoder"] @ p["decoder"], X))(parameters)
        updates, state = optimizer.update(gradient, state, parameters)
        return (optax.apply_updates(parameters, updates), state), None

    carry = (parameters, optimizer.init(parameters))
    return jax.jit(lambda carry: jax.lax.scan(step, carry, length=steps)[0][0])(carry)


def distance(a, b):
    return max(float(abs(x - y).max()) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


OPTIMIZERS = {
    "sgd": (lambda h: sgd(h, None), SGD(0.1)),
    "sgd with momentum, weight decay and clipping": (
        lambda h: sgd(h, 0.9),
        SGD(0.05, weight_decay=0.01, clip_norm=0.5),
    ),
    "adam": (adam, Adam(0.05, epsilon=1e-3)),
    "adam with an L2 penalty and clipping": (
        adam,
        Adam(0.05, epsilon=1e-3, l2=0.01, clip_norm=0.5),
    ),
    "adamw": (adam, Adam(0.05, epsilon=1e-3, weight_decay=0.1)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_converted_hyperparameters_train_to_the_same_parameters(name):
    optimizer, hyperparameters = OPTIMIZERS[name]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # which optax needs
        mean = trained(TORCH_MEAN, optimizer(hyperparameters))
        converted = trained(HINTON_2006, optimizer(hyperparameters.convert(K)))
        unconverted = trained(HINTON_2006, optimizer(hyperparameters))
        assert distance(mean, converted) < 1e-12
        assert not distance(mean, unconverted) < 1e-4


def test_converting_back_is_the_identity():
    for hyperparameters in (SGD(0.5, 0.25, 2.0), Adam(0.5, 0.25, 0.5, 0.125, 4.0)):
        assert hyperparameters.convert(4).convert(0.25) == hyperparameters


@pytest.mark.parametrize("hyperparameters", [SGD(0.1), Adam(0.1)])
def test_a_constant_that_is_not_positive_is_refused(hyperparameters):
    for k in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"constant is {k}, expected a finite number"):
            hyperparameters.convert(k)


@pytest.mark.parametrize("hyperparameters", [SGD(0.1), Adam(0.1)])
def test_hyperparameters_without_meaning_are_named(hyperparameters):
    for field in dataclasses.fields(hyperparameters):
        expected = "a finite number" if field.name != "clip_norm" else "a finite number above 0"
        for wrong in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=f"{field.name} is {wrong}, expected {expected}"):
                dataclasses.replace(hyperparameters, **{field.name: wrong})
    with pytest.raises(ValueError, match=r"clip_norm is 0\.0"):
        dataclasses.replace(hyperparameters, clip_norm=0.0)
    built = dataclasses.replace(hyperparameters)
    object.__setattr__(built, "learning_rate", "0.1")  # the tests' type checker refuses it earlier
    with pytest.raises(TypeError, match=r"learning_rate is '0\.1', expected a Python number"):
        built.__post_init__()
