import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    Capacity,
    FreeBits,
    FreeBitsError,
    Loss,
    capacity,
    free_bits,
    gaussian_kl,
)


def divergence(mean, log_variance):
    """KL(N(μ, exp s) ‖ N(0, 1)) in float64."""
    m, s = np.float64(mean), np.float64(log_variance)
    return 0.5 * (m**2 + np.exp(s) - 1 - s)


def posteriors(rng, shape=(6, 4)):
    return rng.normal(0, 1, (2, *shape)).astype(np.float32)


def test_free_bits_floor_the_batch_means_and_not_the_samples(rng):
    mean, log_variance = posteriors(rng)
    mean *= np.float32([0.1, 1, 1, 2])
    log_variance *= np.float32([0.1, 0.1, 1, 1])
    each = divergence(mean, log_variance)
    got = free_bits(0.5)(mean, log_variance)
    assert got == pytest.approx(np.maximum(each.mean(0), 0.5).sum(), rel=1e-5)
    by_sample = Loss(FreeBitsError(0.5), unit="sample")(mean, log_variance)
    assert by_sample == pytest.approx(np.maximum(each, 0.5).sum(1).mean(), rel=1e-5)
    assert got < by_sample


def test_what_is_below_the_floor_has_no_gradient(rng):
    mean, log_variance = posteriors(rng)
    mean[:, 0], log_variance[:, 0] = 0.1, 0.0
    for loss in (free_bits(0.1), Loss(FreeBitsError(0.1), unit="sample")):
        gradient = jax.grad(loss)(mean, log_variance)
        assert (gradient[:, 0] == 0).all()
        assert (gradient[:, 1] != 0).any()


def test_the_floors_closed_form_is_its_gradient(rng):
    error = FreeBitsError(0.5)
    # At a mean of 1 the divergence is the floor itself.
    mean = jnp.asarray(np.append(rng.normal(0, 2, 200), [1.0, -1.0]).astype(np.float32))
    log_variance = jnp.zeros_like(mean)
    gradient = jax.jit(jax.vmap(jax.grad(error)))(mean, log_variance)
    np.testing.assert_array_equal(gradient, error.derivative(mean, log_variance))
    assert (gradient[-2:] == 0).all()


def test_capacity_is_the_distance_of_the_batch_mean(rng):
    mean, log_variance = posteriors(rng)
    kl = float(gaussian_kl(mean, log_variance))
    for nats, sign in ((kl - 1, 1), (kl + 3, -1)):
        value, gradient = jax.value_and_grad(capacity(nats))(mean, log_variance)
        assert value == pytest.approx(abs(kl - nats), rel=1e-5)
        np.testing.assert_allclose(gradient, sign * mean / len(mean), rtol=1e-5)


@pytest.mark.parametrize("make", [free_bits, capacity, FreeBitsError, FreeBits, Capacity])
def test_impossible_numbers_of_nats_are_refused(make):
    for nats in (-0.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"nats is {nats}, expected a finite number, 0 or"):
            make(nats)


def test_equal_floors_are_equal_losses():
    assert free_bits(0.5) == free_bits(0.5) != free_bits(0.6)
    assert len({free_bits(0.5), free_bits(0.5), capacity(0.5), capacity(0.6)}) == 3


@pytest.mark.parametrize("loss", [free_bits(0.5), capacity(1.0)])
def test_the_second_derivative_is_finite(loss, rng):
    hessians = jax.jit(jax.hessian(loss, argnums=(0, 1)))(*posteriors(rng, (2, 2)))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(hessians))


def test_weights_reach_single_latents(rng):
    mean, log_variance = posteriors(rng, (3, 2))
    weights = np.float32([[1, 0], [2, 3], [0, 1]])
    each = divergence(mean, log_variance)
    expected = np.maximum((weights * each).sum(0) / weights.sum(0), 0.2).sum()
    assert free_bits(0.2)(mean, log_variance, weights=weights) == pytest.approx(expected, rel=1e-5)
