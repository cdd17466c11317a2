import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    Loss,
    codebook,
    codebook_error,
    commitment,
    commitment_error,
    derivative_of,
    sse_per_sample,
)


def pairs(rng):
    return rng.normal(size=(2, 5, 3, 2)).astype(np.float32)


@pytest.mark.parametrize("loss", [commitment, codebook])
def test_the_value_is_the_squared_distance_of_a_sample(loss, rng):
    latent, code = pairs(rng)
    expected = ((latent - code) ** 2).sum() / 5
    assert loss(latent, code) == pytest.approx(expected, rel=1e-6)
    mean = Loss(loss.error)(latent, code)
    assert mean == pytest.approx(expected / 6, rel=1e-6)


def test_commitment_moves_the_encoder_and_codebook_the_codes(rng):
    latent, code = pairs(rng)
    slope = 2 * (latent - code) / 5
    by_latent, by_code = jax.grad(commitment, argnums=(0, 1))(latent, code)
    np.testing.assert_allclose(by_latent, slope, rtol=1e-6)
    assert (by_code == 0).all()
    by_latent, by_code = jax.grad(codebook, argnums=(0, 1))(latent, code)
    np.testing.assert_allclose(by_code, -slope, rtol=1e-6)
    assert (by_latent == 0).all()


def test_together_they_are_the_squared_error(rng):
    latent, code = pairs(rng)

    def both(latent, code):
        return commitment(latent, code) + codebook(latent, code)

    got = jax.grad(both, argnums=(0, 1))(latent, code)
    expected = jax.grad(sse_per_sample, argnums=(0, 1))(latent, code)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("error", [commitment_error, codebook_error])
def test_closed_forms_are_gradients_and_extremes_are_finite(error):
    values = np.float32([0, 1, -1e4, 1e30, -1e30])
    latent, code = (jnp.ravel(x) for x in jnp.meshgrid(values, values))
    gradient = jax.vmap(jax.grad(error))(latent, code)
    np.testing.assert_array_equal(gradient, derivative_of(error)(latent, code))
    assert np.isfinite(gradient).all()
    assert not np.isnan(error(latent, code)).any()
