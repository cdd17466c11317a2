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
        got = jax.jit(negative_binomial_error)(prediction, y)
        np.testing.assert_allclose(got, jax.jit(poisson_error)(m, y), rtol=2e-6)


def test_second_derivatives_are_those_of_the_definition(rng):
    def definition(p, y):
        mu, theta = jnp.exp(p[0]), jnp.exp(p[1])
        gammas = jax.lax.lgamma(theta) + jax.lax.lgamma(y + 1) - jax.lax.lgamma(y + theta)
        return gammas + theta * jnp.log1p(mu / theta) + y * jnp.log1p(theta / mu)

    def of_three(error):
        return lambda x: error(x[:2], x[2])

    @jax.jit
    @jax.vmap
    def second(x):
        ours = of_three(negative_binomial_error)
        expected = jax.hessian(of_three(definition))(x)
        return jax.hessian(ours)(x), jax.jacrev(jax.grad(ours))(x), expected

    x = np.append(rng.normal(0, 1.5, (40, 2)), [[0.0, 0.0], [np.log(3), np.log(3)]], 0)
    x = np.append(x, [[count] for count in (*rng.integers(1, 9, 40), 1, 3)], 1)
    with jax.enable_x64(True):
        got, again, expected = second(x)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(again, expected, rtol=1e-9, atol=1e-11)


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


def test_probabilities_of_all_counts_sum_to_one():
    prediction = np.log(np.float32([[4, 0.5], [4, 3], [4, 1e6]]))
    prediction, y = (
        np.broadcast_to(x, (3, 400, *x.shape[2:]))
        for x in (prediction[:, None], np.arange(400, dtype=np.float32)[None])
    )
    errors = jax.jit(negative_binomial_error)(prediction, y)
    np.testing.assert_allclose(np.exp(-errors).sum(1), 1, atol=2e-6)


def test_the_link_is_the_mean_and_samples_are_counts():
    assert event_of(negative_binomial_error)[:2] == (1, 0)
    assert negative_binomial.parameters_per_element == 2
    assert link_of(negative_binomial_error) is negative_binomial.link
    mu, theta = np.array([0.2, 5.0, 100.0]), np.array([0.5, 2.0, 1e6])
    prediction = jnp.log(jnp.asarray(np.stack([mu, theta], -1), jnp.float32))
    np.testing.assert_allclose(jax.jit(negative_binomial.link)(prediction), mu, rtol=1e-6)
    # Poisson's where there is no dispersion, and infinite where the mean overflows.
    extremes = jnp.array([[np.log(50), 100], [np.log(50), 1e30], [80, 50], [100, 1], [-1e30, 1]])
    many = jnp.tile(jnp.concatenate([prediction, extremes]), (40_000, 1, 1))
    drawn = np.asarray(jax.jit(negative_binomial.sample)(many, key=jax.random.key(0)), np.float64)
    assert drawn.shape == (40_000, 8)
    drawn, (poissons, others) = drawn[:, :3], (drawn[:, 3:5], drawn[:, 5:])
    assert (drawn == np.round(drawn)).all()
    np.testing.assert_allclose(drawn.mean(0), mu, rtol=0.05)
    np.testing.assert_allclose(drawn.var(0), mu + mu**2 / theta, rtol=0.06)
    np.testing.assert_allclose(poissons.mean(0), 50, rtol=0.01)
    np.testing.assert_allclose(poissons.var(0), 50, rtol=0.05)
    np.testing.assert_allclose(others, np.tile([np.exp(80), np.inf, 0], (40_000, 1)), rtol=1e-5)


def test_nll_adds_over_features_and_averages_over_samples(rng):
    prediction, y = counts(rng, 20)
    expected = exact(prediction[:, 0], prediction[:, 1], y)[0].sum() / 4
    got = negative_binomial_nll(prediction.reshape(4, 5, 2), y.reshape(4, 5))
    assert got == pytest.approx(expected, rel=1e-5)


def test_a_mean_of_zero_is_certain_of_no_count():
    prediction = jnp.array([-jnp.inf, 0.0])
    value, gradient = jax.value_and_grad(negative_binomial_error)(prediction, jnp.array(0.0))
    assert (float(value), gradient.tolist()) == (0, [0, 0])
