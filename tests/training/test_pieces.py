"""Microbatches give the whole batch's gradient in less memory, and padding reaches nothing."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxae.losses import (
    Mean,
    Total,
    activation_from_logits,
    bce,
    bernoulli,
    kl_sparsity,
    mse,
    shared_gaussian_nll,
)
from jaxae.models import Autoencoder, MLPAutoencoder
from jaxae.objectives import (
    Batch,
    Objective,
    kl,
    latent_term,
    loss_term,
    prior_matching,
    reconstruction,
)
from jaxae.training import Step, fit, initial_state

SAMPLES, FEATURES, LATENTS, CODES = 11, 8, 3, 5
PADDING = -1
# Its state is the gradient of the last update.
KEPT = optax.trace(decay=0.0)


class Outputs(NamedTuple):
    prediction: Any
    latent: Any
    mean: Any
    log_variance: Any
    brightness: Any


class Variational(Autoencoder):
    """A variational autoencoder that predicts each sample's brightness as well."""

    feature_shape, likelihood = (FEATURES,), bernoulli

    def __init__(self, rngs):
        self.into = nnx.Linear(FEATURES, 6, rngs=rngs)
        self.to_mean = nnx.Linear(6, LATENTS, rngs=rngs)
        self.to_log_variance = nnx.Linear(6, LATENTS, rngs=rngs)
        self.out = nnx.Linear(LATENTS, FEATURES, rngs=rngs)
        self.to_brightness = nnx.Linear(LATENTS, 1, rngs=rngs)

    def __call__(self, x, *, key):
        hidden = jnp.tanh(self.into(x))
        mean, log_variance = self.to_mean(hidden), self.to_log_variance(hidden)
        latent = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
        return Outputs(self.out(latent), latent, mean, log_variance, self.to_brightness(latent))


def known(view):
    return ~jnp.isnan(view.target)


def loudness(view):
    return view.input.sum()


def brightness(view):
    return view.outputs.brightness, view.input.mean(keepdims=True)


def warmup(step):
    return 0.1 * (1 + step)


OBJECTIVE = Objective(
    {
        "bce": reconstruction(bce, where=known, weights=loudness),
        "variance": reconstruction(shared_gaussian_nll, where=known),
        "brightness": loss_term(mse, brightness, coefficient=0.5),
        "kl": kl(warmup),
        "sparsity": latent_term(kl_sparsity(0.05, activation_from_logits), "log_variance"),
        "pairs": prior_matching(),
    }
)


def batch(rng, samples=SAMPLES, padding=0):
    """Samples some of whose targets are not known, followed by padding that holds NaN."""
    X = rng.random((samples, FEATURES)).astype(np.float32)
    target = np.where(rng.random(X.shape) < 0.2, np.nan, X).astype(np.float32)
    pad = np.full((padding, FEATURES), np.nan, np.float32)
    index = np.concatenate([7 + np.arange(samples), np.full(padding, PADDING)])
    weight = np.concatenate([np.ones(samples), np.zeros(padding)]).astype(np.float32)
    both = (np.concatenate([x, pad]) for x in (X, target))
    return jax.tree.map(jnp.asarray, Batch(*both, index.astype(np.int32), weight))


def start(model, objective, optimizer=KEPT, **options):
    graphdef, state = initial_state(model, optimizer, jax.random.key(3))
    return Step(graphdef, objective, optimizer, **options), state


def assert_same(got, expected, limit=1e-6):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert np.isfinite(b).all()
        assert np.abs(a - b).max() <= limit * max(np.abs(b).max(), 1e-30)


@pytest.fixture(scope="module")
def whole():
    """The whole batch's gradient and statistics, without padding."""
    step, state = start(Variational(nnx.Rngs(0)), OBJECTIVE)
    state, statistics = jax.jit(step)(state, batch(np.random.default_rng(0)))
    return state.optimizer, step.term_values(statistics)


@pytest.mark.parametrize(
    ("microbatch_size", "padding", "shards"), [(1, 0, 1), (4, 2, 1), (3, 5, 4)]
)
def test_the_gradient_is_the_whole_batchs(whole, microbatch_size, padding, shards):
    step, state = start(
        Variational(nnx.Rngs(0)), OBJECTIVE, microbatch_size=microbatch_size, shards=shards
    )
    data = batch(np.random.default_rng(0), padding=padding)
    state, statistics = jax.jit(step)(state, data)
    assert_same(state.optimizer, whole[0])
    assert_same(step.term_values(statistics), whole[1])
    assert state.step == 1


def test_a_batch_is_one_step_of_the_optimizer(rng):
    X = rng.random((20, FEATURES)).astype(np.float32)
    states = []
    fit(
        MLPAutoencoder((FEATURES,), (4,)),
        X,
        loss=bce,
        epochs=1,
        batch_size=8,
        microbatch_size=3,
        callbacks=[lambda state, row: states.append(state)],
        show_progress=False,
    )
    assert states[0].step == 3
    assert optax.tree_utils.tree_get(states[0].optimizer, "count") == 3


def test_memory_falls_with_the_microbatch():
    samples, wide = 512, 1024
    X = jnp.ones((samples, FEATURES))
    data = Batch(X, X, jnp.arange(samples), jnp.ones(samples))

    def temporary(microbatch_size):
        step, state = start(
            MLPAutoencoder((FEATURES,), (wide, 4)),
            Objective({"r": reconstruction(bce)}),
            microbatch_size=microbatch_size,
        )
        program = jax.jit(step.update).lower(state, data).compile()
        return program.memory_analysis().temp_size_in_bytes

    whole, quarter, sixteenth = map(temporary, (None, samples // 4, samples // 16))
    assert sixteenth < quarter < whole
    assert sixteenth < whole / 4


class Centred(Autoencoder):
    """Subtracts the batch's mean from its latents."""

    feature_shape, likelihood, axis_name = (FEATURES,), bernoulli, "batch"

    def __init__(self, rngs):
        # No bias: its gradient would be 0.
        self.into = nnx.Linear(FEATURES, LATENTS, use_bias=False, rngs=rngs)
        self.out = nnx.Linear(LATENTS, FEATURES, rngs=rngs)

    def __call__(self, x, *, key, weight):
        latent = self.into(x)
        total = jax.lax.psum(weight * latent, self.axis_name)
        latent = latent - total / jax.lax.psum(weight, self.axis_name)
        return Outputs(self.out(latent), latent, latent, latent, latent)


class Counting(Autoencoder):
    """Counts how often each latent is the largest, and which was ever, as a codebook does."""

    feature_shape, likelihood = (FEATURES,), bernoulli

    def __init__(self, rngs):
        self.into = nnx.Linear(FEATURES, CODES, rngs=rngs)
        self.out = nnx.Linear(CODES, FEATURES, rngs=rngs)
        self.share = nnx.BatchStat(jnp.full(CODES, 1 / CODES))
        self.count = nnx.BatchStat(jnp.zeros(CODES))

    def encode(self, x):
        return self.into(x)

    def decode(self, z):
        return self.out(z)

    def statistics(self, outputs):
        code = jax.nn.one_hot(jnp.argmax(outputs.latent), CODES)
        return {"share": Mean(code, jnp.ones(CODES)), "count": Total(code)}

    def absorb(self, statistics):
        self.share[...] = 0.9 * self.share[...] + 0.1 * statistics["share"].value
        self.count[...] += statistics["count"].value


RECONSTRUCTION = Objective({"r": reconstruction(mse, where=known)})


def test_a_model_that_couples_samples_is_refused_with_microbatches_by_name(rng):
    X = rng.random((20, FEATURES)).astype(np.float32)
    arguments = {"loss": mse, "epochs": 1, "batch_size": 8, "show_progress": False}
    with pytest.raises(ValueError, match=r"Centred couples the samples .* without microbatch_size"):
        fit(Centred(nnx.Rngs(0)), X, microbatch_size=4, **arguments)
    _, history = fit(Centred(nnx.Rngs(0)), X, **arguments)
    assert np.isfinite(history[0].train_loss)


@pytest.mark.parametrize("model", [Centred, Counting])
def test_padding_reaches_neither_a_batchs_mean_nor_a_models_own_state(model, rng):
    step, state = start(model(nnx.Rngs(0)), RECONSTRUCTION)
    data = batch(rng, padding=5)
    bare = jax.tree.map(lambda x: x[:SAMPLES], data)
    padded, expected = (jax.jit(step)(state, x)[0] for x in (data, bare))
    assert_same((padded.optimizer, padded.rest), (expected.optimizer, expected.rest))
    nothing = dataclasses.replace(data, weight=jnp.zeros_like(data.weight))
    same, _ = jax.jit(step)(padded, nothing)
    for a, b in zip(jax.tree.leaves(same), jax.tree.leaves(padded), strict=True):
        assert (a == b).all()


def test_a_models_own_state_absorbs_the_whole_batch_once(rng):
    data = batch(rng)
    step, state = start(Counting(nnx.Rngs(0)), RECONSTRUCTION)
    expected, _ = jax.jit(step)(state, data)
    pieces = dataclasses.replace(step, microbatch_size=3)
    got, _ = jax.jit(pieces)(state, data)
    assert_same(got.rest, expected.rest)
    assert got.rest["count"].sum() == SAMPLES
    assert got.rest["share"].sum() == pytest.approx(1.0)
