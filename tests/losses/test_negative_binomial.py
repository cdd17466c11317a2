import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxae.losses import (
    derivative_of,
    event_of,
    link_of,
    negative_binomial,
    negative_binomial_error,
    negative_binomial_nll,
    poisson_error,
)


@np.vectorize
def exact(m, t, y):
    """−log of the density, and its derivatives by log μ and log θ, to 60 digits."""
    with mpmath.workdps(60):
        y = mpmath.mpf(float(y))
        mu, theta = mpmath.exp(mpmath.mpf(float(m))), mpmath.exp(mpmath.mpf(float(t)))
        value = mpmath.loggamma(theta) + mpmath.loggamma(y + 1) - mpmath.loggamma(y + theta)
        value += theta * mpmath.log(1 + mu / theta) + y * mpmath.log(1 + theta / mu)
        by_mean = theta * (mu - y) / (theta + mu)
        by_theta = mpmath.digamma(theta) - mpmath.digamma(y + theta) + mpmath.log(1 + mu / theta)
        by_dispersion = theta * (by_theta + (y - mu) / (theta + mu))
        return float(value), float(by_mean), float(by_dispersion)


def counts(rng, size):
    """Counts up to 10⁴, means near and far from them, inverse dispersions of 10⁻⁴ to 10⁹."""
    y = np.floor(10 ** rng.uniform(-0.5, 4, size)).astype(np.float32)
    m = np.log(np.maximum(y, 0.5)) + rng.choice([1e-4, 0.3, 3], size) * rng.normal(size=size)
    t = np.log(10 ** rng.uniform(-4, 9, size))
    return jnp.stack([m, t], -1).astype(jnp.float32), jnp.asarray(y)


def test_value_is_right_to_sixteen_ulp_whatever_the_dispersion(rng, ulp):
    prediction, y = counts(rng, 1000)
    value, _, _ = exact(prediction[:, 0], prediction[:, 1], y)
    assert ulp(jax.jit(negative_binomial_error)(prediction, y), value) <= 16


def test_derivatives_are_right_to_the_rounding_of_their_terms(rng, ulp):
    prediction, y = counts(rng, 1000)
    _, by_mean, by_dispersion = exact(prediction[:, 0], prediction[:, 1], y)
    got = jax.jit(jax.vmap(jax.grad(negative_binomial_error)))(prediction, y)
    mu, theta = np.exp(np.float64(prediction)).T
    terms = np.maximum(mu, y) * theta / (theta + mu)
    assert ulp(got[:, 0], by_mean, terms) <= 16
    v = np.log1p((mu - y) / (theta + y))
    terms = np.maximum(theta * (np.expm1(-v) + v), 0.5 * y / (theta + y))
    assert ulp(got[:, 1], by_dispersion, np.maximum(terms, abs(by_dispersion))) <= 64


def test_closed_form_is_the_derivative(rng):
    prediction, y = counts(rng, 100)
    got = jax.jit(jax.vmap(jax.grad(negative_binomial_error)))(prediction, y)
    closed = jax.jit(derivative_of(negative_binomial_error))(prediction, y)
    np.testing.assert_allclose(closed, got, rtol=1e-6)


def test_float64_is_scipys_density(rng):
    y = rng.integers(0, 200, 500).astype(np.float64)
    m, t = rng.normal(2, 1.5, 500), rng.normal(1, 1.5, 500)
    with jax.enable_x64(True):
        got = jax.jit(negative_binomial_error)(jnp.stack([m, t], -1), jnp.asarray(y))
    theta = np.exp(t)
    expected = -scipy.stats.nbinom.logpmf(y, theta, theta / (theta + np.exp(m)))
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_without_dispersion_it_is_poissons(rng):
    """Where Γ(y + θ)/Γ(θ) of θ = 10¹² has no digit left in float32."""
    y = jnp.asarray(rng.integers(0, 50, 200), jnp.float32)
    m = jnp.asarray(rng.normal(2, 1, 200), jnp.float32)
    for t in (28.0, 100.0, 1e30):
        prediction = jnp.stack([m, jnp.full(200, t)], -1)
        got = negative_binomial_error(prediction, y)
        np.testing.assert_allclose(got, poisson_error(m, y), rtol=2e-6)


def test_second_derivatives_are_those_of_the_definition(rng):
    def definition(p, y):
        mu, theta = jnp.exp(p[0]), jnp.exp(p[1])
        gammas = jax.lax.lgamma(theta) + jax.lax.lgamma(y + 1) - jax.lax.lgamma(y + theta)
        return gammas + theta * jnp.log1p(mu / theta) + y * jnp.log1p(theta / mu)

    p = np.append(rng.normal(0, 1.5, (40, 2)), [[0.0, 0.0], [np.log(3), np.log(3)]], 0)
    y = np.append(rng.integers(1, 9, 40), [1.0, 3.0])
    with jax.enable_x64(True):
        got, expected, again = (
            jax.jit(jax.vmap(f))(p, y)
            for f in (
                jax.hessian(negative_binomial_error, argnums=(0, 1)),
                jax.hessian(definition, argnums=(0, 1)),
                jax.jacrev(jax.grad(negative_binomial_error)),
            )
        )
    for i in range(2):
        for j in range(2):
            np.testing.assert_allclose(got[i][j], expected[i][j], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(again, expected[0][0], rtol=1e-9, atol=1e-11)


def test_derivative_by_the_target_is_that_of_the_definition(rng):
    m, t, y = rng.normal(size=100), rng.normal(size=100), rng.uniform(0.01, 50, 100)
    with jax.enable_x64(True):
        got = jax.jit(jax.vmap(jax.grad(negative_binomial_error, 1)))(np.stack([m, t], -1), y)
    digamma = scipy.special.digamma
    expected = digamma(y + 1) - digamma(y + np.exp(t)) + np.log1p(np.exp(t - m))
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


EXTREME = np.array([-1e30, -1e4, -80, -1e-40, 0, 1, 80, 100, 1e4, 1e30], np.float32)


def softplus(x):
    return mpmath.log1p(mpmath.exp(x)) if x < 0 else x + mpmath.log1p(mpmath.exp(-x))


@np.vectorize
def exact_at_extremes(m, t, y):
    with mpmath.workdps(250):
        m, t, y = (mpmath.mpf(float(x)) for x in (m, t, y))
        if t < -200:
            value = (mpmath.log(y) - t if y > 0 else mpmath.mpf(0)) + y * softplus(t - m)
        elif t > 200:  # a Poisson distribution, or an infinite error
            value = mpmath.exp(m) - y * m + mpmath.loggamma(y + 1) if m < 200 else mpmath.inf
        else:
            theta = mpmath.exp(t)
            value = mpmath.loggamma(y + 1) + theta * softplus(m - t) + y * softplus(t - m)
            value -= (mpmath.loggamma(y + theta) - mpmath.loggamma(theta)) if y > 0 else 0
        return float(value) if value < mpmath.mpf("3.4028e38") else np.inf


def test_extreme_inputs_give_what_float32_holds():
    counts = np.array([0, 1, 1e4, 1e30], np.float32)
    m, t, y = (jnp.asarray(x.ravel()) for x in np.meshgrid(EXTREME, EXTREME, counts))
    prediction = jnp.stack([m, t], -1)
    value = jax.jit(negative_binomial_error)(prediction, y)
    np.testing.assert_allclose(value, exact_at_extremes(m, t, y), rtol=5e-6, atol=1e-9)
    gradient = jax.jit(jax.vmap(jax.grad(negative_binomial_error)))(prediction, y)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("theta", [0.5, 3.0, 1e6])
def test_probabilities_of_all_counts_sum_to_one(theta):
    prediction = jnp.tile(jnp.log(jnp.array([4.0, theta])), (400, 1))
    errors = negative_binomial_error(prediction, jnp.arange(400.0))
    assert jnp.exp(-errors).sum() == pytest.approx(1, abs=2e-6)


def test_the_link_is_the_mean_and_samples_are_counts():
    assert event_of(negative_binomial_error) == (1, 0, False, False)
    assert negative_binomial.parameters_per_element == 2
    assert link_of(negative_binomial_error) is negative_binomial.link
    mu, theta = np.array([0.2, 5.0, 100.0]), np.array([0.5, 2.0, 1e6])
    prediction = jnp.log(jnp.asarray(np.stack([mu, theta], -1), jnp.float32))
    np.testing.assert_allclose(negative_binomial.link(prediction), mu, rtol=1e-6)
    drawn = negative_binomial.sample(jnp.tile(prediction, (40_000, 1, 1)), key=jax.random.key(0))
    assert drawn.shape == (40_000, 3)
    assert (drawn == jnp.round(drawn)).all()
    np.testing.assert_allclose(drawn.mean(0), mu, rtol=0.05)
    np.testing.assert_allclose(drawn.var(0), mu + mu**2 / theta, rtol=0.06)


def test_nll_adds_over_features_and_averages_over_samples(rng):
    prediction, y = counts(rng, 20)
    expected = exact(prediction[:, 0], prediction[:, 1], y)[0].sum() / 4
    got = negative_binomial_nll(prediction.reshape(4, 5, 2), y.reshape(4, 5))
    assert got == pytest.approx(expected, rel=1e-5)
