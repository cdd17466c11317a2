import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxae.losses import bce, mse
from jaxae.models import MLPAutoencoder
from jaxae.objectives import Batch, Objective, reconstruction
from jaxae.training import Step, initial_state, trained_model

OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "adam": optax.adam(1e-2),
    "adamw": optax.adamw(1e-2),
    "momentum and schedule": optax.sgd(optax.linear_schedule(0.1, 0.01, 10), momentum=0.9),
}


def start(optimizer, loss=mse):
    model = MLPAutoencoder((4,), (3, 2))
    graphdef, state = initial_state(model, optimizer, jax.random.key(0))
    return model, Step(graphdef, Objective({"r": reconstruction(loss)}), optimizer), state


def batch(rng, samples=6, weight=1.0):
    X = jnp.asarray(rng.random((samples, 4), np.float32))
    return Batch(X, X, jnp.arange(samples), jnp.full(samples, weight))


def test_a_step_of_sgd_is_the_parameters_minus_the_gradient(rng):
    model, step, state = start(optax.sgd(0.5), bce)
    data = batch(rng)
    new, _ = step(state, data)

    def loss(params):
        logits = jax.vmap(trained_model(model, dataclasses.replace(state, params=params)))(
            data.input
        )
        return bce(logits.prediction, data.target)

    gradient = jax.grad(loss)(state.params)
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, state.params, gradient)
    chex.assert_trees_all_close(new.params, expected, rtol=1e-5, atol=1e-7)
    assert new.step == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_batch_of_padding_alone_changes_nothing(name, rng):
    """Not the moments, not the step count: an optimizer would move on momentum alone."""
    _, step, state = start(OPTIMIZERS[name])
    state, _ = step(state, batch(rng))
    same, statistics = jax.jit(step)(state, batch(rng, weight=0.0))
    chex.assert_trees_all_equal(same, state)
    assert statistics["r"].value == 0


def test_padding_does_not_change_the_step(rng):
    _, step, state = start(OPTIMIZERS["adam"])
    data = batch(rng)
    pad = lambda x, fill: jnp.concatenate([x, jnp.full((3, *x.shape[1:]), fill, x.dtype)])  # noqa: E731
    X = pad(data.input, jnp.nan)
    padded = Batch(X, X, pad(data.index, -1), pad(data.weight, 0))
    got, expected = (step(state, batch)[0] for batch in (padded, data))
    chex.assert_trees_all_close(got.params, expected.params, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(got.optimizer, expected.optimizer, rtol=1e-5, atol=1e-6)


def test_equal_steps_compile_once(rng):
    optimizer = optax.adam(1e-3)
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def run(state, data):
        return step(state, data)

    _, step, state = start(optimizer)
    for _ in range(3):
        state, _ = run(state, batch(rng))
    assert start(optimizer)[1] == step
    assert hash(start(optimizer)[1]) == hash(step)
