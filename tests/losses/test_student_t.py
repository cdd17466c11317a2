import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from jaxae.losses import GaussianError, Likelihood, StudentTError, student_t_nll

EXTREMES = [0, 1, -1, 1e4, -1e4, 1e30, -1e30, 1e-20]


def parts(difference, ν, scale):
    """½(ν + 1) log(1 + z²/ν) and the rest of the error, in float64."""
    energy = 0.5 * (ν + 1) * np.log1p((difference / scale) ** 2 / ν)
    return energy, -scipy.stats.t.logpdf(0, ν, 0, scale)


@pytest.mark.parametrize(("ν", "scale"), [(4.0, 1.0), (1.0, 1.0), (0.5, 0.1), (1e4, 3.0)])
def test_value_and_gradient_are_right_to_six_ulp_of_the_larger_term(ν, scale, rng, ulp):
    location, near = rng.normal(size=(2, 20_000)).astype(np.float32)
    far = (np.sign(near) * 10.0 ** rng.uniform(-15, 15, near.size)).astype(np.float32)
    location, target = np.concatenate([location, 0 * location]), np.concatenate([near, far])
    difference = target.astype(np.float64) - location
    energy, constant = parts(difference, ν, scale)
    error = StudentTError(ν, scale)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(location, target)
    assert ulp(value, energy + constant, np.maximum(energy, abs(constant))) <= 6
    assert ulp(gradient, -(ν + 1) * difference / (ν * scale**2 + difference**2)) <= 6


@pytest.mark.parametrize(("ν", "scale"), [(4.0, 1.0), (2.5, 0.3), (200.0, 5.0)])
def test_value_is_scipys_density(ν, scale, rng):
    with jax.enable_x64(True):
        location, target = jnp.asarray(rng.normal(size=(2, 100)) * 10)
        got = StudentTError(ν, scale)(location, target)
        location, target, got = (np.asarray(x) for x in (location, target, got))
    expected = -scipy.stats.t.logpdf(target, ν, location, scale)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("error", [StudentTError(), StudentTError(0.1, 1e-7), StudentTError(1e9)])
def test_extreme_differences_are_finite_and_right(error):
    location, target = np.float32(list(itertools.product(EXTREMES, EXTREMES))).T
    ν, difference = error.degrees_of_freedom, target.astype(np.float64) - location
    energy, constant = parts(difference, ν, error.scale)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(location, target)
    np.testing.assert_allclose(value, energy + constant, rtol=1e-6)
    expected = -(ν + 1) * difference / (ν * error.scale**2 + difference**2)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-37)


def test_differences_that_overflow_have_an_infinite_value_and_a_slope_of_zero():
    function = jax.jit(jax.value_and_grad(StudentTError()))
    value, gradient = function(jnp.float32(-3e38), jnp.float32(3e38))
    assert value == jnp.inf
    assert gradient == 0


def test_the_second_derivative_is_exact_at_the_location_and_where_the_slope_is_largest():
    curvature = jax.jit(jax.grad(jax.grad(StudentTError())))
    assert curvature(jnp.float32(1), jnp.float32(1)) == 5 / 4
    assert curvature(jnp.float32(2), jnp.float32(0)) == 0


@pytest.mark.parametrize("ν", [1e-3, 1.0, 4.0, 99.0, 101.0, 1e4, 1e15])
def test_the_normaliser_keeps_its_digits_at_any_degrees_of_freedom(ν):
    half = mpmath.mpf(ν) / 2
    with mpmath.workdps(50):
        step = mpmath.loggamma(half + mpmath.mpf(1) / 2) - mpmath.loggamma(half)
        expected = float(mpmath.log(2 * mpmath.pi * half) / 2 - step)
    with jax.enable_x64(True):
        got = StudentTError(ν)(jnp.float64(0), jnp.float64(0))
    assert got == pytest.approx(expected, rel=1e-14)


def test_many_degrees_of_freedom_are_the_normal_distribution(rng):
    location, target = jnp.asarray(rng.normal(size=(2, 50)), jnp.float32)
    np.testing.assert_allclose(
        StudentTError(1e12)(location, target), GaussianError()(location, target), rtol=1e-5
    )


def test_the_nll_is_the_sum_of_a_samples_errors(rng):
    A, Y = rng.normal(size=(2, 5, 3)).astype(np.float32)
    expected = -scipy.stats.t.logpdf(A.astype(np.float64) - Y, 4).sum() / 5
    assert student_t_nll(A, Y) == pytest.approx(expected, rel=1e-6)


def test_samples_have_the_location_the_scale_and_the_degrees_of_freedom():
    likelihood = Likelihood(StudentTError(2.5, scale=0.4))
    samples = likelihood.sample(jnp.full(4000, 3.0), key=jax.random.key(0))
    assert scipy.stats.kstest(samples, "t", (2.5, 3, 0.4)).pvalue > 0.01


def test_the_pull_of_an_outlier_falls_beyond_the_root_of_the_degrees_of_freedom():
    slope = jax.jit(jax.vmap(jax.grad(StudentTError(9.0, scale=2.0)), (0, None)))
    distances = jnp.arange(1.0, 20.0)
    assert distances[jnp.argmax(slope(distances, jnp.float32(0)))] == 2 * math.sqrt(9)


@pytest.mark.parametrize("arguments", [(0.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (4.0, 0.0)])
def test_hyperparameters_that_are_not_positive_are_refused(arguments):
    with pytest.raises(ValueError, match=r"expected a number from 1\.0842e-19 to 9\.22337e\+18"):
        StudentTError(*arguments)
