"""The merge: padding, absent samples, terms that are named; test_cuts.py asks of its cuts."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxae.losses import Mean, bce, gaussian, mmd, sse, sse_per_sample
from jaxae.models import Autoencoder, MLPAutoencoder
from jaxae.objectives import (
    Batch,
    Objective,
    Term,
    batch_statistics,
    finish,
    reconstruction,
    summary,
)

SAMPLES, FEATURES = 11, 6


def code_usage(view):
    """The mean activation of each code unit, of which KL sparsity is a function."""
    return Mean(jax.nn.sigmoid(view.outputs.latent), jnp.ones(3, view.target.dtype))


def divergence(rate):
    return jnp.sum(0.1 * jnp.log(0.1 / rate) + 0.9 * jnp.log(0.9 / (1 - rate)))


def noise(view):
    drawn = jax.random.normal(view.key, view.target.shape, view.target.dtype)
    return Mean(jnp.sum(drawn * view.outputs.prediction), jnp.ones((), view.target.dtype))


OBJECTIVE = Objective(
    {
        "reconstruction": reconstruction(bce),
        "total": reconstruction(sse, coefficient=0.01),
        "sparsity": Term(code_usage, finish=divergence, coefficient=0.3),
        "noise": Term(noise, coefficient=0.1),
    }
)


def batch(rng, weight=None):
    X = jnp.asarray(rng.random((SAMPLES, FEATURES)))
    weight = jnp.ones(SAMPLES) if weight is None else jnp.asarray(weight, X.dtype)
    return Batch(X, X, jnp.arange(SAMPLES), weight.astype(X.dtype))


def rows(batch, index):
    return jax.tree.map(lambda x: x[index], batch)


def value_and_gradient(batch):
    """The objective over a batch, and its gradient."""
    graphdef, params = nnx.split(MLPAutoencoder((FEATURES,), (4, 3)), nnx.Param)
    return differentiated(graphdef, nnx.as_pure(params), batch)


@functools.partial(jax.jit, static_argnums=0)
def differentiated(graphdef, params, batch):
    def value(params):
        model = nnx.merge(graphdef, params)
        return finish(OBJECTIVE, batch_statistics(OBJECTIVE, model, batch, jax.random.key(1)))

    return jax.value_and_grad(value)(params)


def test_padding_changes_nothing_not_even_by_nan(rng):
    whole = batch(rng)
    X = jnp.concatenate([whole.input, jnp.full((4, FEATURES), jnp.nan)])
    ones, zeros = jnp.ones(SAMPLES), jnp.zeros(4)
    index = jnp.concatenate([whole.index, jnp.full(4, -1)])
    padded = Batch(X, X, index, jnp.concatenate([ones, zeros]))
    chex.assert_trees_all_close(
        value_and_gradient(padded), value_and_gradient(whole), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_absent_samples_are_not_a_place_where_a_model_must_be_defined(fill, rng):
    """A model that divides by its input's norm is not defined at zeros."""

    objective = Objective({"r": reconstruction(sse_per_sample)})
    whole = batch(rng)
    X = whole.input.at[::2].set(fill)
    part = dataclasses.replace(whole, input=X, target=X, weight=whole.weight.at[::2].set(0))

    def value(scale, batch):
        class Directions(Autoencoder):
            feature_shape, likelihood = (FEATURES,), gaussian

            def encode(self, x):
                return x / jnp.linalg.norm(x)

            def decode(self, z):
                return scale * z

        statistics = batch_statistics(objective, Directions(), batch, jax.random.key(0))
        return finish(objective, statistics)

    got = jax.value_and_grad(value)(2.0, part)
    kept = jax.value_and_grad(value)(2.0, rows(whole, slice(1, None, 2)))
    chex.assert_trees_all_close(got, kept, rtol=1e-5, atol=1e-6)


def test_an_empty_batch_adds_nothing(rng):
    model, key, whole = MLPAutoencoder((FEATURES,), (4, 3)), jax.random.key(1), batch(rng)
    statistics = jax.jit(lambda batch: batch_statistics(OBJECTIVE, model, batch, key))
    added = jax.tree.map(jnp.add, statistics(rows(whole, slice(0, 0))), statistics(whole))
    chex.assert_trees_all_equal(added, statistics(whole))


def test_a_term_that_returns_no_statistic_is_named(rng):
    objective = Objective({"norm": Term(lambda view: jnp.sum(view.outputs.latent))})
    model = MLPAutoencoder((FEATURES,), (3,))
    with pytest.raises(
        TypeError, match=r"term 'norm' returned .*, expected a Mean, a Total or Rows"
    ):
        batch_statistics(objective, model, batch(rng), jax.random.key(0))


def test_a_term_that_does_not_finish_with_a_scalar_is_named(rng):
    objective = Objective({"usage": Term(code_usage)})
    model = MLPAutoencoder((FEATURES,), (3,))
    statistics = batch_statistics(objective, model, batch(rng), jax.random.key(0))
    with pytest.raises(ValueError, match=r"term 'usage' finishes with shape \(3,\)"):
        finish(objective, statistics)


def test_batches_are_merged_before_they_are_finished_and_pairs_are_averaged(rng):
    objective = Objective(
        {
            "sparsity": Term(code_usage, finish=divergence),
            "pairs": Term(lambda view: mmd.mean(view.outputs.latent, view.target[:3]), mmd.finish),
        }
    )
    model = MLPAutoencoder((FEATURES,), (3,))
    whole = batch(rng, [1, 1, 1, 2, 1, 1, 0, 0, 1, 1, 1])
    parts = [rows(whole, part) for part in (slice(0, 4), slice(4, 8))]
    each = [batch_statistics(objective, model, part, jax.random.key(0)) for part in parts]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *each)
    usage = each[0]["sparsity"] + each[1]["sparsity"]
    pairs = [mmd.finish(part["pairs"].value) for part in each]
    expected = divergence(usage.value) + (5 * pairs[0] + 2 * pairs[1]) / 7
    assert finish(objective, summary(objective, stacked)) == pytest.approx(
        float(expected), rel=1e-6
    )


def test_weight_zero_is_absent(rng):
    weight = np.arange(SAMPLES) % 2
    whole = batch(rng, weight)
    kept = rows(whole, np.flatnonzero(weight))
    chex.assert_trees_all_close(
        value_and_gradient(whole), value_and_gradient(kept), rtol=1e-5, atol=1e-6
    )


def test_terms_are_added_with_their_coefficients(rng):
    model = MLPAutoencoder((FEATURES,), (3,))
    objective = Objective(
        {"one": reconstruction(sse_per_sample, coefficient=2.0), "two": reconstruction(bce)}
    )
    b = batch(rng)
    statistics = batch_statistics(objective, model, b, jax.random.key(0))
    logits = jax.vmap(model)(b.input).prediction
    expected = 2 * sse_per_sample(jax.nn.sigmoid(logits), b.target) + bce(logits, b.target)
    assert finish(objective, statistics) == pytest.approx(float(expected), rel=1e-6)
