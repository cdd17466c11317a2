import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from jaxae.losses import (
    derivative_of,
    event_of,
    link_of,
    negative_binomial_error,
    zero_inflated_negative_binomial as likelihood,
    zero_inflated_negative_binomial_error as error,
    zero_inflated_negative_binomial_nll as nll,
)


@np.vectorize
def exact_zero(m, t, z):
    """−log (π + (1 − π)(θ/(θ + μ))^θ) to 60 digits."""
    with mpmath.workdps(60):
        m, t, z = (mpmath.mpf(float(x)) for x in (m, t, z))
        share, theta = 1 / (1 + mpmath.exp(-z)), mpmath.exp(t)
        return float(-mpmath.log(share + (1 - share) * (1 + mpmath.exp(m) / theta) ** -theta))


def parameters(rng, size):
    m, t, z = rng.normal(1, 2, size), rng.normal(1, 2, size), rng.uniform(-40, 40, size)
    return np.stack([m, t, z], -1).astype(np.float32)


def test_zeros_are_right_to_sixteen_ulp(rng, ulp):
    p = parameters(rng, 2000)
    got = jax.jit(error)(jnp.asarray(p), jnp.zeros(2000))
    expected = exact_zero(*p.T)
    assert ulp(got, expected) <= 16
    assert expected.max() > 20
    assert expected.min() < 1e-17


def test_float64_is_scipys_density(rng):
    p = parameters(rng, 500) * np.array([1, 1, 0.2])
    y = rng.integers(0, 20, 500) * rng.integers(0, 2, 500)
    theta, share = np.exp(p[:, 1]), 1 / (1 + np.exp(-p[:, 2]))
    counts = scipy.stats.nbinom.pmf(y, theta, theta / (theta + np.exp(p[:, 0])))
    with jax.enable_x64(True):
        got = jax.jit(error)(jnp.asarray(p), jnp.asarray(y, jnp.float64))
    expected = -np.log(share * (y == 0) + (1 - share) * counts)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_derivatives_agree_with_finite_differences_to_second_order(rng):
    p, y = parameters(rng, 60).astype(np.float64), np.arange(60.0) % 3
    p[:, 2] /= 10
    p[0], p[1] = 0, 0
    steps = 1e-5 * np.eye(3)
    with jax.enable_x64(True):
        both = jax.jit(jax.vmap(jax.value_and_grad(error)))
        hessian = jax.jit(jax.vmap(jax.hessian(error)))(p, y)
        pairs = [jax.device_get((both(p + h, y), both(p - h, y))) for h in steps]
        _, got = both(p, y)
    by_value, by_gradient = (
        np.stack([(above[i] - below[i]) / 2e-5 for above, below in pairs], -1) for i in (0, 1)
    )
    np.testing.assert_allclose(got, by_value, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(hessian, by_gradient, rtol=1e-7, atol=1e-8)


def test_closed_form_is_the_derivative(rng):
    p, y = jnp.asarray(parameters(rng, 60)), jnp.arange(60.0) % 3
    got = jax.jit(jax.vmap(jax.grad(error)))(p, y)
    np.testing.assert_allclose(jax.jit(derivative_of(error))(p, y), got, rtol=1e-6)


def test_without_extra_zeros_it_is_the_negative_binomial(rng):
    p, y = jnp.asarray(parameters(rng, 60)).at[:, 2].set(-1e30), jnp.arange(60.0) % 3
    expected = jax.jit(negative_binomial_error)(p[:, :2], y)
    np.testing.assert_allclose(jax.jit(error)(p, y), expected, rtol=1e-6)


def test_extreme_inputs_are_never_nan_and_have_finite_gradients():
    extreme = np.array([-1e30, -1e4, -1e-40, 0, 80, 1e4, 1e30], np.float32)
    m, t, z, y = (x.ravel() for x in np.meshgrid(extreme, extreme, extreme, [0.0, 1, 1e4, 1e30]))
    p, y = jnp.stack([m, t, z], -1), jnp.asarray(y, jnp.float32)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(p, y)
    assert (value >= 0).all()
    assert np.isfinite(gradient).all()
    sure = (z == 1e30) & (y == 0)
    assert (value[sure] == 0).all()


def test_probabilities_of_all_counts_sum_to_one():
    p = jnp.tile(jnp.array([1.0, 0.5, -0.3]), (300, 1))
    assert jnp.exp(-jax.jit(error)(p, jnp.arange(300.0))).sum() == pytest.approx(1, abs=2e-6)


def test_the_link_is_the_mean_and_samples_are_counts():
    assert event_of(error)[:2] == (1, 0)
    assert link_of(error) is likelihood.link
    assert likelihood.parameters_per_element == 3
    p = jnp.array([[np.log(4), np.log(2), np.log(3)], [1000.0, 0.0, 2000.0]], jnp.float32)
    mean, slope = jax.jit(jax.vmap(jax.value_and_grad(likelihood.link)))(p)
    np.testing.assert_allclose(mean, [1, 0], rtol=1e-6)
    np.testing.assert_allclose(slope[0], [1, 0, -0.75], rtol=1e-6)
    draw = jax.jit(likelihood.sample)
    drawn = draw(jnp.tile(p[0], (40_000, 1)), key=jax.random.key(0))
    assert drawn.shape == (40_000,)
    assert drawn.mean() == pytest.approx(1, rel=0.05)
    assert (drawn == 0).mean() == pytest.approx(0.75 + 0.25 * (2 / 6) ** 2, abs=0.01)


def test_nll_adds_over_features_and_averages_over_samples(rng):
    p, y = parameters(rng, 20), jnp.zeros((4, 5))
    expected = exact_zero(*p.T).sum() / 4
    assert nll(p.reshape(4, 5, 3), y) == pytest.approx(expected, rel=1e-5)
