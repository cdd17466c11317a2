import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import Rows, contractive_penalty, free_bits, gaussian_kl, l1, mmd, mse
from jaxae.models import MLPAutoencoder
from jaxae.objectives import (
    Batch,
    Objective,
    OutputsOf,
    Term,
    View,
    batch_statistics,
    contractive,
    finish,
    kl,
    latent_and_prior,
    latent_term,
    prior_matching,
)


class Outputs(NamedTuple):
    prediction: Any
    latent: Any
    mean: Any
    log_variance: Any


class Variational(NamedTuple):
    scale: Any = 0.5

    def encode(self, x):
        return jnp.tanh(self.scale * x[:3])

    def __call__(self, x, *, key):
        mean, log_variance = self.encode(x), self.scale * x[3:]
        noise = jax.random.normal(key, mean.shape, mean.dtype)
        return Outputs(x, mean + jnp.exp(log_variance / 2) * noise, mean, log_variance)


def batch(rng, n=5):
    X = jnp.asarray(rng.normal(size=(n, 6)).astype(np.float32))
    return Batch(X, X, jnp.arange(n), jnp.ones(n))


def value(term, batch, key=0):
    objective = Objective({"term": term})
    statistics = batch_statistics(objective, Variational(), batch, jax.random.key(key))
    return finish(objective, statistics)


def outputs(batch, key=0):
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(key), i))(batch.index)
    return jax.vmap(lambda x, key: Variational()(x, key=key))(batch.input, keys)


def positive(view):
    return view.outputs.latent > 0


def first(view):
    return jnp.where(view.target[0] > 0, 2.0, 0.5).astype(view.target.dtype)


def test_terms_are_the_losses_of_the_models_outputs(rng):
    b = batch(rng)
    o = outputs(b)
    assert value(kl(), b) == pytest.approx(float(gaussian_kl(o.mean, o.log_variance)), rel=1e-6)
    floored = free_bits(0.1)(o.mean, o.log_variance)
    assert value(kl(2.0, loss=free_bits(0.1)), b) == pytest.approx(2 * float(floored), rel=1e-6)
    assert value(latent_term(l1), b) == pytest.approx(float(l1(o.latent)), rel=1e-6)


def test_terms_have_masks_and_weights_of_their_own(rng):
    b = batch(rng)
    o = outputs(b)
    got = value(latent_term(l1, where=positive, weights=first), b)
    weights = jnp.where(b.target[:, 0] > 0, 2.0, 0.5)
    assert got == pytest.approx(float(l1(o.latent, where=o.latent > 0, weights=weights)), rel=1e-6)


def test_a_sample_that_counts_twice_is_two_in_every_term(rng):
    b = batch(rng)
    weight = jnp.array([0.0, 2.0, 1.0, 0.0, 1.0])
    twice = jax.tree.map(lambda x: x[jnp.array([1, 1, 2, 4])], b)
    b = dataclasses.replace(b, weight=weight)
    for term in (kl(), kl(loss=free_bits(0.2)), prior_matching(), contractive()):
        assert value(term, b) == pytest.approx(float(value(term, twice)), rel=1e-5)


def test_the_contractive_term_is_the_mean_penalty(rng):
    b = batch(rng)
    each = [contractive_penalty(Variational().encode, x) for x in b.input]
    assert value(contractive(), b) == pytest.approx(float(np.mean(each)), rel=1e-6)
    estimate = value(contractive(probes=200), b)
    assert estimate == pytest.approx(float(np.mean(each)), rel=0.1)
    # The encoder's Jacobian is diagonal, so that every direction of signs sees all of it.
    assert estimate == pytest.approx(float(np.mean(each)), rel=1e-5)


def test_draws_of_the_prior_belong_to_the_sample_and_not_to_its_noise(rng):
    model, x, key = Variational(), jnp.ones(6), jax.random.key(4)
    view = View(model, x, x, model(x, key=key), key)
    code, draw = latent_and_prior(view)
    assert (latent_and_prior(view)[1] == draw).all()
    assert not np.isclose(draw, (code - view.outputs.mean) / jnp.exp(x[3:] / 4)).any()
    draws = jax.vmap(lambda key: latent_and_prior(view._replace(key=key))[1])(
        jax.random.split(key, 2000)
    )
    assert draws.mean() == pytest.approx(0, abs=0.05)
    assert draws.std() == pytest.approx(1, abs=0.05)


def test_matching_the_prior_keeps_rows(rng):
    b = batch(rng)
    objective = Objective({"mmd": prior_matching(3.0)})
    statistics = batch_statistics(objective, Variational(), b, jax.random.key(0))
    assert isinstance(statistics["mmd"], Rows)
    expected = 3 * mmd(*statistics["mmd"].rows)
    assert finish(objective, statistics) == pytest.approx(float(expected), rel=1e-6)


def test_a_mask_within_a_row_of_a_function_of_pairs_is_refused(rng):
    with pytest.raises(ValueError, match="a prefix of the shape"):
        value(latent_term(mmd, "latent", "mean", where=positive), batch(rng))


def test_an_output_that_the_model_lacks_is_named(rng):
    model = MLPAutoencoder((6,), (3,))
    x = jnp.ones(6)
    view = View(model, x, x, model(x), jax.random.key(0))
    with pytest.raises(ValueError, match=r"no output 'mean', expected one of prediction, latent"):
        kl().sample(view)
    assert OutputsOf(("latent",))(view)[0] is view.outputs.latent


def test_equal_terms_are_equal_and_hash_alike():
    for make in (kl, prior_matching, contractive, lambda: latent_term(l1, where=positive)):
        assert make() == make()
        assert hash(make()) == hash(make())
        assert isinstance(make(), Term)
    assert contractive(probes=1) != contractive(probes=2)
    assert kl() != latent_term(mse, "mean", "log_variance")
