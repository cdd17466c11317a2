import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import GaussianError, squared_error
from jaxae.losses.conventions import (
    HINTON_2006,
    OPTAX,
    PYTHAE_VAE,
    TORCH_MEAN,
    TORCH_SUM,
    VAES,
    VAEConvention,
    clamped_at_capacity,
    effective_beta,
)


@pytest.mark.parametrize(
    ("name", "features", "latents", "beta"),
    [
        ("KERAS_VAE", 784, 2, 1),
        ("FLAX_LINEN_VAE", 784, 20, 1),
        ("FLAX_NNX_VAE", 784, 32, 2.45),
        ("PYTHAE_VAE", 784, 16, 1),
        ("DIFFUSERS_AUTOENCODER_KL", 3 * 256 * 256, 4 * 32 * 32, 0.5e-6),
        ("SCVI", 2000, 10, 1),
        ("DEEPOBS_VAE", 784, 8, 0.5),
        ("PYOD_VAE", 30, 2, 0),
    ],
)
def test_named_vaes(name, features, latents, beta):
    assert VAES[name].effective_beta(features, latents) == pytest.approx(beta, rel=1e-12)


def test_pyods_beta_is_half_the_features_below_its_capacity_and_0_from_it_on():
    assert VAES["PYOD_VAE"].capacity == 0
    vae = dataclasses.replace(VAES["PYOD_VAE"], capacity=5.0)
    assert [vae.effective_beta(30, 2, kl=kl) for kl in (0.0, 4.9, 5.0, 7.0)] == [15, 15, 0, 0]
    # What the gradient of the clamped term says.
    slopes = jax.vmap(jax.grad(lambda kl: clamped_at_capacity(kl, vae.capacity)))
    assert slopes(jnp.array([0, 4.9, 5, 7])).tolist() == [1, 1, 0, 0]


def test_a_vae_without_a_capacity_has_one_beta():
    assert VAES["FLAX_LINEN_VAE"].capacity is None
    assert VAES["FLAX_LINEN_VAE"].effective_beta(784, 20, kl=1e6) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"features": 0}, "features is 0, expected a whole number of at least 1"),
        ({"features": 784.5}, r"features is 784\.5, expected a whole number"),
        ({"latents": 0}, "latents is 0, expected a whole number of at least 1"),
        ({"samples": 0}, "samples is 0, expected a whole number of at least 1"),
        ({"coefficient": -1.0}, r"coefficient is -1\.0, expected a finite number, 0 or more"),
        ({"nats_per_error": 0.0}, r"nats_per_error is 0\.0, expected a finite number above 0"),
    ],
)
def test_numbers_that_make_no_beta_are_named(wrong, message):
    right = {"reconstruction": TORCH_MEAN, "kl": TORCH_MEAN, "features": 784, "latents": 2}
    # The tests' type checker refuses a fraction of a feature earlier.
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(effective_beta)(**right | wrong)
    if next(iter(wrong)) in ("coefficient", "nats_per_error"):
        with pytest.raises(ValueError, match=message):
            VAEConvention("mine", TORCH_MEAN, TORCH_MEAN, **wrong)


def test_the_name_of_a_convention_is_none():
    terms = {"features": 3, "latents": 2}
    for name in ("reconstruction", "kl"):
        reductions = {"reconstruction": TORCH_MEAN, "kl": TORCH_MEAN, name: "TORCH_MEAN"}
        with pytest.raises(TypeError, match=f"{name} is 'TORCH_MEAN', expected a Convention"):
            inspect.unwrap(effective_beta)(**reductions, **terms)
        vae = dataclasses.replace(VAES["KERAS_VAE"])
        object.__setattr__(vae, name, "TORCH_MEAN")  # the tests' type checker refuses it earlier
        with pytest.raises(TypeError, match=f"{name} is 'TORCH_MEAN', expected a Convention"):
            vae.__post_init__()


def test_what_cannot_be_clamped_is_refused():
    with pytest.raises(ValueError, match=r"capacity is -1\.0, expected a finite number, 0 or more"):
        clamped_at_capacity(3.0, -1.0)
    with pytest.raises(TypeError, match="kl has dtype int32, expected a floating dtype"):
        clamped_at_capacity(3)


def test_a_capacity_or_a_kl_that_is_negative_is_refused():
    with pytest.raises(ValueError, match=r"capacity is -1\.0, expected a finite number, 0 or more"):
        VAEConvention("mine", TORCH_MEAN, TORCH_MEAN, capacity=-1.0)
    with pytest.raises(ValueError, match=r"kl is -1\.0, expected a finite number, 0 or more"):
        VAES["PYOD_VAE"].effective_beta(30, 2, kl=-1.0)


def test_beta_of_a_half_means_that_the_plain_squared_error_counts_reconstruction_twice(rng):
    """SSE + KL has the gradient of 2·(NLL + ½KL), NLL at σ = 1."""
    mean, target = rng.normal(size=(2, 4, 6)).astype(np.float32)

    def kl(mean):
        return 0.5 * jnp.sum(mean**2) / 4

    def plain(mean):
        return HINTON_2006(squared_error)(mean, target) + kl(mean)

    beta = effective_beta(
        reconstruction=HINTON_2006, kl=HINTON_2006, features=6, latents=6, nats_per_error=0.5
    )

    def elbo(mean):
        return HINTON_2006(GaussianError())(mean, target) + beta * kl(mean)

    assert beta == 0.5
    np.testing.assert_allclose(jax.grad(plain)(mean), 2 * jax.grad(elbo)(mean), rtol=1e-5)


def test_a_mean_squared_error_beside_a_summed_kl_has_the_features_in_its_beta():
    """The posterior collapse of keras issue 6015: MSE + KL has β = C/2."""
    beta = effective_beta(
        reconstruction=TORCH_MEAN, kl=HINTON_2006, features=784, latents=2, nats_per_error=0.5
    )
    assert beta == 392


def test_other_scales_are_nats_per_error():
    half = {"reconstruction": PYTHAE_VAE, "kl": HINTON_2006, "features": 9, "latents": 3}
    assert effective_beta(**half, nats_per_error=0.5 / 0.25) == 4  # σ = ½
    assert effective_beta(**half, nats_per_error=0.5, coefficient=4.0) == 4


def test_a_sum_over_the_batch_beside_a_mean_needs_the_batch():
    terms = {"reconstruction": TORCH_MEAN, "kl": TORCH_SUM, "features": 784, "latents": 2}
    with pytest.raises(ValueError, match="TORCH_SUM is a sum over the batch and TORCH_MEAN is not"):
        effective_beta(**terms)
    assert effective_beta(**terms, samples=100) == 784 * 100
    terms["reconstruction"] = TORCH_SUM
    assert effective_beta(**terms) == effective_beta(**terms, samples=100) == 1


def test_a_term_that_is_not_reduced_is_refused():
    with pytest.raises(ValueError, match="OPTAX does not reduce"):
        effective_beta(reconstruction=OPTAX, kl=HINTON_2006, features=3, latents=2)


@pytest.mark.parametrize(
    ("kl", "capacity", "value", "slope"),
    [(3, 0, 0, 0), (0, 0, 0, 0), (3, 5, 3, 1), (5, 5, 5, 0), (7, 5, 5, 0)],
)
def test_the_clamped_kl_has_no_gradient_from_its_capacity_on(kl, capacity, value, slope):
    got = jax.value_and_grad(clamped_at_capacity)(float(kl), float(capacity))
    assert got == (value, slope)
