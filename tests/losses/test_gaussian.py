import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxae.losses import (
    GaussianError,
    Loss,
    gaussian,
    gaussian_nll,
    heteroscedastic_gaussian_error,
    learned_gaussian,
    learned_gaussian_nll,
    link_of,
)

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
LARGEST = float(np.finfo(np.float32).max)
EXTREMES = [0, 1, -1, 1e4, -1e4, 1e30, -1e30, 1e-20, 1e-40]
LOG_VARIANCES = [0, 1, -1, 80, -80, 180, -180, 350, -350, 1e4, -1e4, 1e30, -1e30]


def grid(rng):
    """Means, and targets at distances from 1e-10 to 1e10 and about 1."""
    mean, near = rng.normal(size=(2, 20_000)).astype(np.float32)
    far = (np.sign(near) * 10.0 ** rng.uniform(-10, 10, near.size)).astype(np.float32)
    return np.concatenate([mean, 0 * mean]), np.concatenate([near, far])


def flushed(*arrays):
    """The arrays in float64, with 0 for subnormal numbers, which XLA on CPU takes for 0."""
    return (np.where(abs(x) < 1e-38, 0, x).astype(np.float64) for x in arrays)


def parts(prediction, target):
    """½(y − μ)²e^(−s) and the rest of the error, in float64."""
    mean, s = np.moveaxis(np.asarray(prediction, np.float64), -1, 0)
    return 0.5 * ((np.asarray(target, np.float64) - mean) * np.exp(-s / 2)) ** 2, s / 2


@pytest.mark.parametrize("scale", [1.0, 0.1, 7.3])
def test_value_and_gradient_are_right_to_five_ulp(scale, rng, ulp):
    """Where the value's two terms cancel as well, at 0.1; there also when a loss adds it up."""
    mean, target = grid(rng)
    z = (target.astype(np.float64) - mean) / scale
    error = GaussianError(scale)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(mean, target)
    expected = 0.5 * z * z + (math.log(scale) + HALF_LOG_2PI)
    assert (abs(expected).min() < 1e-3) == (scale == 0.1)
    assert ulp(value, expected) <= 5
    assert ulp(Loss(error).per_sample(mean[:, None], target[:, None]), expected) <= 5
    assert ulp(gradient, -z / scale) <= 2


def test_extreme_differences_are_infinite_and_their_slopes_finite():
    mean, target = np.float32(list(itertools.product(EXTREMES, EXTREMES))).T
    value, gradient = jax.vmap(jax.value_and_grad(GaussianError(1e-10)))(mean, target)
    mean, target = flushed(mean, target)
    z = (target - mean) / 1e-10
    with np.errstate(over="ignore"):
        expected = (z * z / 2 - np.log(1e10) + HALF_LOG_2PI).astype(np.float32)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, np.clip(-z / 1e-10, -LARGEST, LARGEST), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf"), 1e-30])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match=r"expected a number from 1\.0842e-19 to 9\.22337e\+18"):
        GaussianError(scale)


def test_the_nll_is_half_the_squared_error_and_a_constant_for_each_number(rng):
    A, Y = rng.normal(size=(2, 5, 3)).astype(np.float32)
    expected = 0.5 * ((A - Y) ** 2).sum() / 5 + 3 * HALF_LOG_2PI
    assert gaussian_nll(A, Y) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(jax.grad(gaussian_nll)(A, Y), (A - Y) / 5, rtol=1e-6)


def test_samples_have_the_scale():
    samples = gaussian.sample(jnp.zeros(4000), key=jax.random.key(0))
    assert scipy.stats.kstest(samples, "norm").pvalue > 0.01


def test_predicted_scale_is_scipys_density(rng):
    with jax.enable_x64(True):
        prediction = jnp.asarray(rng.normal(size=(100, 2)) * [1, 3])
        target = jnp.asarray(rng.normal(size=100))
        got = heteroscedastic_gaussian_error(prediction, target)
        prediction, target, got = (np.asarray(x) for x in (prediction, target, got))
    scale = np.exp(prediction[:, 1] / 2)
    expected = -scipy.stats.norm.logpdf(target, prediction[:, 0], scale)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_predicted_scale_is_right_to_eight_ulp_of_the_larger_term(rng, ulp):
    mean, target = grid(rng)
    prediction = np.stack([mean, rng.uniform(-20, 20, mean.size).astype(np.float32)], -1)
    squares, rest = parts(prediction, target)
    size = np.maximum(np.maximum(squares, abs(rest)), HALF_LOG_2PI)
    function = jax.jit(jax.vmap(jax.value_and_grad(heteroscedastic_gaussian_error)))
    value, gradient = function(prediction, target)
    assert ulp(value, squares + rest + HALF_LOG_2PI, size) <= 8
    by_mean = (mean - target.astype(np.float64)) * np.exp(-prediction[:, 1].astype(np.float64))
    assert ulp(gradient[:, 0], by_mean) <= 8
    assert ulp(gradient[:, 1], 0.5 - squares, np.maximum(squares, 0.5)) <= 8


def test_extreme_predicted_scales_are_right_or_infinite_and_their_slopes_finite():
    mean, s, y = np.float32(list(itertools.product(EXTREMES, LOG_VARIANCES, EXTREMES))).T
    prediction = np.stack([mean, s], -1)
    function = jax.jit(jax.vmap(jax.value_and_grad(heteroscedastic_gaussian_error)))
    value, gradient = function(prediction, y)
    mean, s, y = flushed(mean, s, y)
    difference = y - mean
    equal = difference == 0
    distance = np.where(equal, 1, abs(difference))
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.where(equal, 0, 0.5 * np.exp(2 * np.log(distance) - s))
        by_mean = np.where(equal, 0, -np.sign(difference) * np.exp(np.log(distance) - s))
        expected = (squares + s / 2 + HALF_LOG_2PI).astype(np.float32)
    np.testing.assert_allclose(value, expected, rtol=2e-6)
    slopes = np.clip(np.stack([by_mean, 0.5 - squares], -1), -LARGEST, LARGEST)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)


def test_the_best_log_variance_is_that_of_the_squared_difference():
    gradient = jax.grad(heteroscedastic_gaussian_error)
    slopes = gradient(jnp.array([1.0, 2 * math.log(3)]), jnp.float32(4))
    assert slopes[0] == pytest.approx(-1 / 3)
    assert slopes[1] == pytest.approx(0, abs=1e-6)


def test_a_log_variance_of_zero_is_the_normal_distribution_of_scale_one(rng):
    mean, target = (jnp.asarray(x) for x in rng.normal(size=(2, 4, 3)).astype(np.float32))
    prediction = jnp.stack([mean, jnp.zeros_like(mean)], -1)
    assert learned_gaussian_nll(prediction, target) == gaussian_nll(mean, target)


def test_masks_and_weights_of_predicted_scales_are_the_targets(rng):
    A, Y = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3))
    where, weights = rng.random((4, 3)) > 0.3, rng.uniform(1, 2, 4)
    squares, rest = parts(A, Y)
    errors = weights[:, None] * where * (squares + rest + HALF_LOG_2PI)
    expected = errors.sum() / (weights * where.any(1)).sum()
    A = np.where(where[..., None], A, np.nan)
    arrays = (jnp.asarray(x, jnp.float32) for x in (A, Y))
    got = learned_gaussian_nll(*arrays, where=where, weights=weights.astype(np.float32))
    assert got == pytest.approx(expected, rel=1e-5)


def test_samples_have_the_predicted_scale():
    prediction = jnp.broadcast_to(jnp.array([3.0, 2 * math.log(0.5)]), (4000, 2))
    samples = learned_gaussian.sample(prediction, key=jax.random.key(0))
    assert scipy.stats.kstest(samples, scipy.stats.norm(3, 0.5).cdf).pvalue > 0.01
    assert learned_gaussian.link(prediction).tolist() == [3] * 4000
    assert link_of(heteroscedastic_gaussian_error) is learned_gaussian.link
