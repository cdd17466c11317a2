import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

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


def trained(rng, updates=3, **arguments):
    """The state after some updates of a Step with these options, and the one before."""
    model, step, state = start(OPTIMIZERS["adam"])
    step = dataclasses.replace(step, **arguments)
    averaged = step.average_decay is not None
    _, state = initial_state(model, step.optimizer, jax.random.key(0), averaged=averaged)
    first = state
    for _ in range(updates):
        state, _ = step(state, batch(rng))
    return first, state


def test_parameters_stay_in_float32_where_the_model_computes_in_bfloat16(rng):
    seen = []

    class Spy(MLPAutoencoder):
        def encode(self, x):
            seen.append((x.dtype, jax.tree.leaves(nnx.state(self, nnx.Param))[0].dtype))
            return super().encode(x)

    graphdef, state = initial_state(Spy((4,), (3, 2)), optax.sgd(0.1), jax.random.key(0))
    objective = Objective({"r": reconstruction(mse)})
    step = Step(graphdef, objective, optax.sgd(0.1), compute_dtype=jnp.bfloat16)
    new, statistics = step(state, batch(rng))
    assert set(seen) == {(jnp.dtype("bfloat16"),) * 2}
    assert {x.dtype for x in jax.tree.leaves((new.params, statistics))} == {jnp.dtype("float32")}
    full = dataclasses.replace(step, compute_dtype=None)
    expected, _ = full(state, batch(np.random.default_rng(0)))
    assert step.finish(statistics, 0) == pytest.approx(0.1, abs=0.1)
    chex.assert_trees_all_close(new.params, expected.params, atol=0.05)


def test_the_average_of_the_parameters_follows_them(rng):
    first, _ = trained(np.random.default_rng(1), 0, average_decay=0.9)
    _, one = trained(np.random.default_rng(1), 1, average_decay=0.9)
    expected = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, first.params, one.params)
    chex.assert_trees_all_close(one.average, expected, rtol=1e-6)
    model = trained_model(MLPAutoencoder((4,), (3, 2)), one)
    chex.assert_trees_all_equal(nnx.as_pure(nnx.state(model, nnx.Param)), one.average)


def test_a_constraint_holds_after_every_update(rng):
    def clipped(params):
        return jax.tree.map(lambda x: jnp.clip(x, -0.1, 0.1), params)

    _, state = trained(rng, constraint=clipped)
    assert all(abs(x).max() <= 0.1 for x in jax.tree.leaves(state.params))


def test_an_update_that_is_not_finite_is_dropped_and_counted(rng):
    _model, step, state = start(OPTIMIZERS["adam"])
    step = dataclasses.replace(step, skip_nonfinite=True)
    data = batch(rng)
    poisoned = dataclasses.replace(data, target=data.target.at[0, 0].set(jnp.nan))
    same, statistics = jax.jit(step.update)(state, poisoned)
    assert same.skipped == 1
    chex.assert_trees_all_equal(same.params, state.params)
    chex.assert_trees_all_equal(same.optimizer, state.optimizer)
    assert same.step == state.step
    assert step.finish(statistics, 0) == 0
    after, _ = jax.jit(step.update)(same, data)
    assert (after.skipped, after.step) == (1, 1)


def test_a_schedule_is_a_coefficient(rng):
    warm_up = optax.linear_schedule(0.0, 2.0, 4)
    _model, step, state = start(optax.sgd(0.0))
    objective = Objective({"r": reconstruction(mse, coefficient=warm_up)})
    step = dataclasses.replace(step, objective=objective)
    values = []
    for _ in range(6):
        before = state.step
        state, statistics = step(state, batch(np.random.default_rng(0)))
        values.append(float(step.finish(statistics, before) / step.term_values(statistics)["r"]))
    assert values == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.0])


def test_a_step_of_ones_own_changes_what_happens_to_a_gradient(rng):
    class SignStep(Step):
        def next_state(self, state, slopes, statistics):
            return super().next_state(state, jax.tree.map(jnp.sign, slopes), statistics)

    _model, step, state = start(optax.sgd(0.5))
    own = SignStep(step.graphdef, step.objective, step.optimizer)
    new, _ = own(state, batch(rng))
    moved = jax.tree.map(lambda a, b: abs(a - b), new.params, state.params)
    assert {round(float(x), 4) for m in jax.tree.leaves(moved) for x in m.ravel()} <= {0.0, 0.5}
