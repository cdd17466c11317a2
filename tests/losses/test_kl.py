import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from jaxae.losses import (
    derivative_of,
    gaussian_kl,
    gaussian_kl_between,
    gaussian_kl_between_error,
    gaussian_kl_error,
)
from jaxae.losses._elementary import exponential_excess

EXTREMES = np.float32([0, 1, -1, 0.5, 1e4, -1e4, 1e30, -1e30])


def excess(x):
    """exp(x) − 1 − x to 60 digits, as float64."""
    with mpmath.workdps(60):
        return np.array([float(mpmath.exp(v) - 1 - v) for v in x.astype(np.float64)])


def exact_kl(mean, log_variance):
    return 0.5 * mean.astype(np.float64) ** 2 + 0.5 * excess(log_variance)


def power(x):
    """exp(x) of any number: beyond ±1e5 it is beyond float32, or nothing."""
    return mpmath.exp(min(x, 1e5)) if x > -1e5 else 0


def posteriors(rng, shape=(6, 4)):
    return rng.normal(0, 1, (2, *shape)).astype(np.float32)


def elementwise(error, *arrays):
    """An error's value and its derivatives by every argument."""
    every = tuple(range(len(arrays)))
    return jax.jit(jax.vmap(jax.value_and_grad(error, argnums=every)))(*arrays)


def test_the_exponentials_excess_is_right_to_four_ulp(rng, ulp):
    sizes = 10.0 ** rng.uniform(-12, 1.9, 4000) * rng.choice([-1, 1], 4000)
    x = np.append(sizes, [1, -1, 0.99999994, -0.99999994]).astype(np.float32)
    assert ulp(jax.jit(exponential_excess)(x), excess(x)) <= 4


def test_the_exponentials_excess_is_right_in_float64(rng):
    x = 10.0 ** rng.uniform(-12, 1.9, 1000) * rng.choice([-1, 1], 1000)
    with jax.enable_x64(True):
        np.testing.assert_allclose(exponential_excess(jnp.asarray(x)), excess(x), rtol=1e-15)


def test_the_divergence_is_right_to_four_ulp_close_to_the_prior_as_well(rng, ulp):
    mean, log_variance = (10.0 ** rng.uniform(-10, 1, (2, 3000))).astype(np.float32)
    log_variance *= rng.choice([-1, 1], 3000).astype(np.float32)
    got, _ = elementwise(gaussian_kl_error, mean, log_variance)
    assert ulp(got, exact_kl(mean, log_variance)) <= 4


@pytest.mark.parametrize(("mean", "deviation"), [(0.7, 0.4), (-2.0, 1.5)])
def test_the_divergence_is_the_integral_that_defines_it(mean, deviation):
    q, p = scipy.stats.norm(mean, deviation), scipy.stats.norm(0.5, 2.0)
    expected, _ = scipy.integrate.quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), -12, 12)
    arguments = (mean, 2 * np.log(deviation), 0.5, 2 * np.log(2.0))
    got = gaussian_kl_between_error(*(jnp.float32(x) for x in arguments))
    assert got == pytest.approx(expected, rel=1e-5)


def test_derivatives_are_their_closed_forms(rng):
    mean, log_variance, other, other_log_variance = jnp.asarray(
        np.concatenate([posteriors(rng, (500,)), posteriors(rng, (500,))])
    )
    _, (by_mean, by_log_variance) = elementwise(gaussian_kl_error, mean, log_variance)
    np.testing.assert_array_equal(by_mean, mean)
    np.testing.assert_array_equal(derivative_of(gaussian_kl_error)(mean, log_variance), mean)
    np.testing.assert_allclose(by_log_variance, np.expm1(log_variance) / 2, rtol=1e-6)

    arrays = mean, log_variance, other, other_log_variance
    _, (by_mean, by_log_variance, by_other, by_prior) = elementwise(
        gaussian_kl_between_error, *arrays
    )
    m, s, n, t = (np.float64(x) for x in arrays)
    slope, spread = (m - n) * np.exp(-t), np.expm1(s - t) / 2
    np.testing.assert_allclose(by_mean, slope, rtol=2e-6, atol=1e-7)
    np.testing.assert_array_equal(by_other, -by_mean)
    np.testing.assert_array_equal(derivative_of(gaussian_kl_between_error)(*arrays), by_mean)
    np.testing.assert_allclose(by_log_variance, spread, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(by_prior, -0.5 * slope * (m - n) - spread, rtol=2e-6, atol=1e-6)


def test_extremes_are_rounded_or_infinite_with_finite_gradients():
    mean, log_variance = (np.ravel(x) for x in np.meshgrid(EXTREMES, EXTREMES))
    value, slopes = elementwise(gaussian_kl_error, mean, log_variance)
    with np.errstate(over="ignore"):
        exact = 0.5 * mean.astype(np.float64) ** 2 + 0.5 * (
            np.expm1(log_variance.astype(np.float64)) - log_variance
        )
        np.testing.assert_allclose(value, exact.astype(np.float32), rtol=1e-6)
    assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(slopes[0], mean)
    assert (np.asarray(slopes[1])[log_variance >= 1e4] > 1.7e38).all()


def test_extremes_of_two_distributions_are_right_with_finite_gradients():
    arrays = [np.ravel(x) for x in np.meshgrid(*[EXTREMES] * 4)]
    value, slopes = elementwise(gaussian_kl_between_error, *arrays)
    assert np.isfinite(slopes).all()
    with mpmath.workdps(40):
        for m, s, n, t, got in list(zip(*arrays, value, strict=True))[::7]:
            m, s, n, t = (mpmath.mpf(float(x)) for x in (m, s, n, t))
            d = (m - n) ** 2
            expected = (d * power(-t) + power(s - t) - 1 - (s - t)) / 2
            if expected > 3.4e38:
                assert got == np.inf
            else:
                assert got == pytest.approx(float(expected), rel=1e-6)


def test_a_difference_of_zero_is_nothing_in_any_unit():
    """0 · ∞ where a prior is as narrow as float32 cannot say."""
    value, slopes = elementwise(gaussian_kl_between_error, *np.float32([[3], [-1e4], [3], [-1e4]]))
    assert value == 0
    assert all(slope == 0 for slope in slopes)


def test_the_loss_is_summed_over_latents_and_averaged_over_samples(rng):
    mean, log_variance = posteriors(rng)
    each = exact_kl(mean.ravel(), log_variance.ravel()).reshape(mean.shape).sum(1)
    assert gaussian_kl(mean, log_variance) == pytest.approx(each.mean(), rel=1e-6)
    np.testing.assert_allclose(gaussian_kl.per_sample(mean, log_variance), each, rtol=1e-6)
    weights = np.float32([0, 2, 1, 0, 3, 1])
    got = gaussian_kl(mean, log_variance, weights=weights)
    assert got == pytest.approx(np.average(each, weights=weights), rel=1e-6)


def test_the_standard_normal_is_one_of_the_others(rng):
    mean, log_variance = posteriors(rng)
    zeros = np.zeros_like(mean)
    got = gaussian_kl_between(mean, log_variance, zeros, zeros)
    assert got == pytest.approx(float(gaussian_kl(mean, log_variance)), rel=1e-6)
