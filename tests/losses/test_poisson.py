import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxae.losses import derivative_of, link_of, poisson, poisson_error, poisson_nll


@np.vectorize
def exact(log_rate, target):
    with mpmath.workdps(30):
        r, y = mpmath.mpf(float(log_rate)), mpmath.mpf(float(target))
        return float(mpmath.exp(r) - y * r + mpmath.loggamma(y + 1))


@np.vectorize
def exact_slope(log_rate, target):
    with mpmath.workdps(30):
        return float(mpmath.exp(mpmath.mpf(float(log_rate))) - mpmath.mpf(float(target)))


def counts(rng, size, highest=4):
    """Counts up to 10^highest, and log rates near and far from them."""
    y = np.floor(10 ** rng.uniform(-0.5, highest, size)).astype(np.float32)
    width = rng.choice([1e-4, 1e-2, 0.3, 2], size)
    r = np.log(np.maximum(y, 0.5)) + width * rng.normal(size=size)
    return jnp.asarray(r, jnp.float32), jnp.asarray(y)


def test_value_is_right_to_eight_ulp_for_counts_up_to_ten_thousand(rng, ulp):
    r, y = counts(rng, 2000)
    assert ulp(jax.jit(poisson_error)(r, y), exact(r, y)) <= 8


def test_value_keeps_its_digits_where_large_terms_cancel(rng, ulp):
    """At a count of a million, exp(r) − yr + log Γ(y + 1) is 8, from terms of 14 million."""
    r, y = jnp.float32(np.log(1e6)), jnp.float32(1e6)
    assert jax.jit(poisson_error)(r, y) == pytest.approx(exact(r, y), rel=1e-6)
    naive = jnp.exp(r) - y * r + np.float32(scipy.special.gammaln(1e6 + 1))
    assert abs(naive - exact(r, y)) > 0.01


def test_derivative_is_right_to_four_ulp_of_its_larger_term(rng, ulp):
    r, y = counts(rng, 2000, highest=6.5)
    got = jax.jit(jax.vmap(jax.grad(poisson_error)))(r, y)
    assert ulp(got, exact_slope(r, y), np.maximum(np.exp(r), y)) <= 4


def test_derivative_keeps_its_digits_near_the_mode():
    """At a count of 1, exp(r) − 1 of r = 1e-6 is right to one digit in float32."""
    gradient = jax.jit(jax.grad(poisson_error))
    assert gradient(jnp.float32(1e-6), jnp.float32(1)) == pytest.approx(1e-6)


def test_closed_form_is_the_derivative(rng):
    r, y = counts(rng, 100)
    got = jax.jit(jax.vmap(jax.grad(poisson_error)))(r, y)
    closed = jax.jit(derivative_of(poisson_error))(r, y)
    np.testing.assert_array_equal(closed, got)


def test_derivative_by_the_target_is_digamma_minus_the_log_rate(rng):
    r, y = rng.normal(size=100), rng.uniform(0.01, 50, 100)
    with jax.enable_x64(True):
        got = jax.jit(jax.vmap(jax.grad(poisson_error, argnums=1)))(r, y)
    np.testing.assert_allclose(got, scipy.special.digamma(y + 1) - r, rtol=1e-10, atol=1e-12)


def test_second_derivatives_are_the_rate_and_trigamma():
    r = np.array([0.0, 1.0, -2.0, 3.0, np.log(7.0)])
    y = np.array([0.5, 1.0, 5.0, 2.5, 7.0])
    with jax.enable_x64(True):
        got = jax.jit(jax.vmap(jax.hessian(poisson_error, argnums=(0, 1))))(r, y)
        again = jax.jit(jax.vmap(jax.grad(jax.grad(poisson_error))))(r, y)
    np.testing.assert_allclose(got[0][0], np.exp(r), rtol=1e-12)
    np.testing.assert_allclose(again, np.exp(r), rtol=1e-12)
    np.testing.assert_allclose([got[0][1], got[1][0]], -1, rtol=1e-12)
    np.testing.assert_allclose(got[1][1], scipy.special.polygamma(1, y + 1), rtol=1e-10)


def test_float64_is_scipys_density(rng):
    r, y = counts(rng, 1000)
    with jax.enable_x64(True):
        got = jax.jit(poisson_error)(jnp.asarray(r, jnp.float64), jnp.asarray(y, jnp.float64))
    np.testing.assert_allclose(got, exact(r, y), rtol=1e-12)
    expected = -scipy.stats.poisson.logpmf(y, np.exp(np.float64(r)))
    np.testing.assert_allclose(got, expected, rtol=1e-9)


EXTREME = np.array([-1e30, -1e4, -100, -1e-40, 0, 1e-40, 1, 80, 100, 1e4, 1e30], np.float32)
EXTREME_COUNTS = np.array([0, 1e-40, 1, 1e4, 1e30], np.float32)


def test_extreme_inputs_give_what_float32_holds():
    r, y = (jnp.asarray(x.ravel()) for x in np.meshgrid(EXTREME, EXTREME_COUNTS))
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(poisson_error)))(r, y)
    with np.errstate(over="ignore"):
        z, n = np.float64(r), np.float64(y)
        expected = np.exp(z) - n * z + scipy.special.gammaln(n + 1)
        expected = np.where(z > 88.8, np.inf, expected).astype(np.float32)
    np.testing.assert_allclose(value, expected, rtol=2e-6, atol=1e-9)
    assert np.isfinite(slope).all()
    assert (slope[(r >= 100) & (y < 1e5)] > 3e38).all()
    assert np.isfinite(jax.jit(jax.vmap(jax.grad(jax.grad(poisson_error))))(r, y)).all()


def test_probabilities_of_all_counts_sum_to_one():
    r, y = np.meshgrid(np.float32([-3, 0, 4]), np.arange(300, dtype=np.float32))
    np.testing.assert_allclose(np.exp(-jax.jit(poisson_error)(r, y)).sum(0), 1, atol=1e-6)


def test_the_constant_that_torch_and_keras_omit_is_included():
    """Without it, the value at r = 0, y = 4 is 1 instead of 1 + log 24."""
    assert poisson_error(jnp.float32(0), jnp.float32(4)) == pytest.approx(1 + np.log(24))


def test_the_prediction_is_a_log_rate_and_samples_are_counts():
    """At large rates too, where JAX's integers overflow or have up to 1.5 times their variance."""
    assert link_of(poisson_error) is poisson.link is jnp.exp
    r = np.log(np.float32([0.1, 3, 200, 2e4, 1e6, 1e9]))
    drawn = jax.jit(poisson.sample)(jnp.tile(r, (100_000, 1)), key=jax.random.key(0))
    assert drawn.dtype == jnp.float32
    assert (drawn == jnp.round(drawn)).all()
    rate = np.exp(np.float64(r))
    z = (np.float64(drawn) - rate) / np.sqrt(rate)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(z.var(0), 1, atol=0.05)
    np.testing.assert_allclose(scipy.stats.skew(z), 1 / np.sqrt(rate), atol=0.06)


def test_samples_of_rates_that_overflow_are_infinite():
    r = np.float32([-np.inf, -1e30, 80.0, 88.0, 100.0, 1e30, np.inf, np.nan])
    drawn = jax.jit(poisson.sample)(r, key=jax.random.key(0))
    expected = np.array([0, 0, np.exp(80), np.exp(88), np.inf, np.inf, np.inf, np.nan])
    np.testing.assert_allclose(drawn, expected, rtol=1e-5)


def test_nll_adds_over_features_and_averages_over_samples(rng):
    r, y = (x.reshape(4, 5) for x in counts(rng, 20))
    expected = exact(r, y).sum() / 4
    assert poisson_nll(r, y) == pytest.approx(expected, rel=1e-5)


def test_a_rate_of_zero_is_certain_of_no_count():
    log_rate = jnp.array([-jnp.inf, -jnp.inf])
    assert poisson_error(log_rate, jnp.array([0.0, 3.0])).tolist() == [0, np.inf]
    slope = jax.vmap(jax.grad(poisson_error))(log_rate, jnp.array([0.0, 3.0]))
    assert slope.tolist() == [0, -3]
