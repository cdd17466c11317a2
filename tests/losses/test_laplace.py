import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxae.losses import LaplaceError, Likelihood, laplace_nll

EXTREMES = [0, 1, -1, 1e4, -1e4, 1e30, -1e30, 1e-20]


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_value_and_gradient_are_right_to_three_ulp_of_the_larger_term(scale, rng, ulp):
    location = rng.normal(size=20_000).astype(np.float32)
    target = (location * 10.0 ** rng.uniform(-10, 10, location.size)).astype(np.float32)
    distance, constant = abs(target.astype(np.float64) - location) / scale, np.log(2 * scale)
    value, gradient = jax.vmap(jax.value_and_grad(LaplaceError(scale)))(location, target)
    assert ulp(value, distance + constant, np.maximum(distance, abs(constant))) <= 3
    assert ulp(gradient, np.sign(location - target) / scale) <= 1


def test_value_is_scipys_density(rng):
    location, target = rng.normal(size=(2, 100)).astype(np.float32)
    got = LaplaceError(0.7)(jnp.asarray(location), jnp.asarray(target))
    expected = -scipy.stats.laplace.logpdf(target, location, 0.7)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_extreme_differences_are_finite():
    location, target = np.float32(list(itertools.product(EXTREMES, EXTREMES))).T
    value, gradient = jax.vmap(jax.value_and_grad(LaplaceError()))(location, target)
    difference = location.astype(np.float64) - target
    np.testing.assert_allclose(value, abs(difference) + np.log(2), rtol=1e-6)
    assert (gradient == np.sign(difference)).all()


def test_the_gradient_is_zero_where_both_are_equal():
    both = jax.grad(LaplaceError(), argnums=(0, 1))(jnp.float32(2), jnp.float32(2))
    assert both == (0, 0)


def test_the_nll_is_the_absolute_error_and_a_constant_for_each_number(rng):
    A, Y = rng.normal(size=(2, 5, 3)).astype(np.float32)
    expected = abs(A - Y).sum() / 5 + 3 * np.log(2)
    assert laplace_nll(A, Y) == pytest.approx(expected, rel=1e-6)


def test_samples_have_the_location_and_the_scale():
    likelihood = Likelihood(LaplaceError(2.5))
    samples = likelihood.sample(jnp.full(4000, 3.0), key=jax.random.key(0))
    assert scipy.stats.kstest(samples, "laplace", (3, 2.5)).pvalue > 0.01


def test_a_scale_that_is_not_positive_is_refused():
    with pytest.raises(
        ValueError, match=r"scale is -1\.0, expected a number from 1\.0842e-19 to 9\.22337e\+18"
    ):
        LaplaceError(-1.0)
