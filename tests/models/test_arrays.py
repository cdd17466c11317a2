import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import gaussian
from jaxae.models import MLPAutoencoder, decode, encode, reconstruct
from jaxae.models._arrays import _vmapped


@pytest.fixture
def model():
    return MLPAutoencoder((4, 3), (8, 2))


@pytest.fixture
def samples(rng):
    return rng.random((23, 4, 3), np.float32)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 1000])
def test_pieces_are_the_whole(model, samples, batch_size):
    outputs = jax.vmap(model)(jnp.asarray(samples))
    np.testing.assert_allclose(
        encode(model, samples, batch_size=batch_size), outputs.latent, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        reconstruct(model, samples, batch_size=batch_size),
        1 / (1 + np.exp(-np.asarray(outputs.prediction))),
        rtol=1e-5,
    )


def test_decoding_the_codes_is_reconstructing(model, samples):
    np.testing.assert_allclose(
        decode(model, encode(model, samples)), reconstruct(model, samples), rtol=1e-5
    )


def test_a_gaussian_reconstruction_is_the_prediction(samples):
    model = MLPAutoencoder((4, 3), (8, 2), likelihood=gaussian)
    predictions = jax.vmap(model)(jnp.asarray(samples)).prediction
    np.testing.assert_allclose(reconstruct(model, samples), predictions, rtol=1e-5, atol=1e-6)


def test_no_samples_give_no_rows(model):
    assert encode(model, np.zeros((0, 4, 3), np.float32)).shape == (0, 2)


def test_any_length_compiles_once(model, samples):
    reconstruct(model, samples, batch_size=4)
    compiled = _vmapped._cache_size()
    reconstruct(model, samples[:9], batch_size=4)
    encode(model, samples[:9], batch_size=4)
    assert _vmapped._cache_size() == compiled + 1
    chex.assert_shape(reconstruct(model, samples[:9], batch_size=4), (9, 4, 3))
