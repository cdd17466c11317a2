import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxae.losses import (
    Loss,
    binary_cross_entropy,
    continuous_bernoulli,
    continuous_bernoulli_error,
    continuous_bernoulli_nll,
    derivative_of,
    link_of,
)

TARGETS = np.array([0, 1, 0.5, 0.1, 0.9, 1e-3])


@np.vectorize
def exact(logits):
    """log(sinh(z/2)/(z/2)), the mean and the variance, to 50 digits."""
    if logits == 0:
        return 0.0, 0.5, 1 / 12
    with mpmath.workdps(50):
        z = mpmath.mpf(float(logits))
        half = mpmath.sinh(z / 2)
        mean = mpmath.mpf(0.5) + mpmath.coth(z / 2) / 2 - 1 / z
        return tuple(map(float, (mpmath.log(half / (z / 2)), mean, 1 / z**2 - 1 / (2 * half) ** 2)))


def grid(rng, targets=3):
    """Logits, targets, many of them random; the log of the normaliser, the mean, the variance."""
    edges = [0, 1, -1, np.nextafter(np.float32(1), 0), 1e-3, 1e-8, -1e-8]
    z = np.concatenate([rng.uniform(-100, 100, 300), rng.uniform(-8, 8, 700), edges])
    z = np.append(z, rng.normal(0, 1e-3, 100)).astype(np.float32)
    y = np.append(TARGETS, rng.random(targets)).astype(np.float32)
    known = np.stack(exact(z))
    z, y, *known = (np.broadcast_to(x, (y.size, z.size)).ravel() for x in (z, y[:, None], *known))
    return jnp.asarray(z), jnp.asarray(y), known


def test_value_is_right_to_one_ulp_where_its_terms_cancel_too(rng, ulp):
    """By itself, and added up by a loss, which XLA compiles otherwise."""
    z, y, (normaliser, _, _) = grid(rng, targets=100)
    expected = np.float64(z) * (0.5 - np.float64(y)) + normaliser
    assert (expected < 0).any()
    assert abs(expected[expected != 0]).min() < 1e-5
    per_sample = Loss(continuous_bernoulli_error).per_sample
    for got in (jax.jit(continuous_bernoulli_error)(z, y), per_sample(z[:, None], y[:, None])):
        assert ulp(got, expected) <= 1


def test_value_is_right_to_eight_ulp_about_the_target_nearest_its_root(rng, ulp):
    """Where it is a few 1e-8 of its terms; below 2⁻³⁰ of them float64 runs out of digits."""
    z = rng.uniform(-100, 100, 1000).astype(np.float32)
    normaliser, _, _ = exact(z)
    nearest = (0.5 + normaliser / z).astype(np.float32)
    y = np.concatenate([np.nextafter(nearest, np.float32(x)) for x in (0, 1)] + [nearest])
    linear, normaliser = np.tile(z, 3) * (0.5 - np.float64(y)), np.tile(normaliser, 3)
    expected = linear + normaliser
    got = jax.jit(continuous_bernoulli_error)(jnp.asarray(np.tile(z, 3)), jnp.asarray(y))
    assert ulp(got, expected, np.maximum(abs(expected), 2.0**-30 * normaliser)) <= 8


def test_derivative_is_right_to_eight_ulp_of_its_larger_term(rng, ulp):
    z, y, (_, mean, _) = grid(rng)
    y64 = np.float64(y)
    got = jax.jit(jax.vmap(jax.grad(continuous_bernoulli_error)))(z, y)
    assert ulp(got, mean - y64, np.maximum((1 - y64) * mean, y64 * (1 - mean))) <= 8


def test_derivative_keeps_its_digits_at_large_logits():
    """At y = 1 the derivative is mean − 1 = −1/z: the mean rounded to float32 leaves two digits."""
    gradient = jax.jit(jax.grad(continuous_bernoulli_error))(jnp.float32(1e5), jnp.float32(1))
    assert gradient == pytest.approx(-1e-5, rel=1e-6)


def test_the_second_derivative_is_the_variance(rng):
    z, y, (_, _, variance) = grid(rng)
    curvature = jax.jit(jax.vmap(jax.grad(jax.grad(continuous_bernoulli_error))))(z, y)
    np.testing.assert_allclose(curvature, variance, rtol=4e-6)


def test_float64_has_float64s_digits(rng):
    z, y, (normaliser, mean, _) = grid(rng)
    with jax.enable_x64(True):
        z, y = z.astype(jnp.float64), y.astype(jnp.float64)
        value, slope = jax.jit(jax.vmap(jax.value_and_grad(continuous_bernoulli_error)))(z, y)
    linear = np.float64(z) * (0.5 - np.float64(y))
    assert (
        abs(np.asarray(value) - linear - normaliser) <= 5e-15 * (abs(linear) + normaliser)
    ).all()
    np.testing.assert_allclose(slope, mean - np.float64(y), rtol=1e-13, atol=1e-15)


def test_closed_form_is_the_derivative(rng):
    z, y, _ = grid(rng)
    got = jax.jit(jax.vmap(jax.grad(continuous_bernoulli_error)))(z, y)
    closed = jax.jit(derivative_of(continuous_bernoulli_error))(z, y)
    np.testing.assert_allclose(closed, got, rtol=1e-6)


def test_derivative_by_the_target_is_minus_the_logit():
    derivative = jax.grad(continuous_bernoulli_error, argnums=1)
    assert derivative(jnp.float32(3.5), jnp.float32(0.2)) == -3.5


def test_the_density_integrates_to_one():
    nodes, weights = np.polynomial.legendre.leggauss(50)
    z, y = np.meshgrid([-30.0, -3.0, 0.0, 1e-4, 5.0], 0.5 * nodes + 0.5)
    errors = jax.jit(continuous_bernoulli_error)(np.float32(z), np.float32(y))
    np.testing.assert_allclose(0.5 * weights @ np.exp(-np.float64(errors)), 1, atol=2e-6)


def test_it_is_binary_cross_entropy_less_the_log_of_the_papers_constant():
    """C(λ) = 2 artanh(1 − 2λ)/(1 − 2λ), equation 6 of Loaiza-Ganem & Cunningham 2019."""
    probability, y = np.array([0.1, 0.3, 0.8]), np.array([0.2, 0.9, 1.0])
    constant = 2 * np.arctanh(1 - 2 * probability) / (1 - 2 * probability)
    z, y = jnp.asarray(np.log(probability / (1 - probability)), jnp.float32), jnp.asarray(y)
    y = y.astype(jnp.float32)
    expected = np.asarray(jax.jit(binary_cross_entropy)(z, y)) - np.log(constant)
    got = jax.jit(continuous_bernoulli_error)(z, y)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_extreme_logits_stay_finite():
    extreme = np.array([-1e30, -1e4, -1e-40, 0, 1e-40, 1e4, 1e30, 3e38], np.float32)
    z, y = (jnp.asarray(x.ravel()) for x in np.meshgrid(extreme, np.float32([0, 1, 0.5, 1e-40])))
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(continuous_bernoulli_error)))(z, y)
    a = abs(np.float64(z))
    with np.errstate(all="ignore"):
        far = np.where(z > 0, 1 - np.float64(y), np.float64(y)) * a - np.log(a)
        expected = np.where(a > 1, far, 0)
        mean = np.where(a > 1, np.where(z > 0, 1 - 1 / a, 1 / a), 0.5)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(slope, mean - np.float64(y), rtol=1e-6, atol=1e-29)
    assert np.isfinite(
        jax.jit(jax.vmap(jax.grad(jax.grad(continuous_bernoulli_error))))(z, y)
    ).all()


def test_the_link_is_the_mean_and_samples_have_it(ulp):
    assert link_of(continuous_bernoulli_error) is continuous_bernoulli.link
    z = jnp.array([-1e30, -50.0, -4.0, -1e-3, 0.0, 1e-8, 2.0, 50.0, 1e30])
    _, mean, variance = exact(np.clip(z, -1e5, 1e5))
    assert ulp(jax.jit(continuous_bernoulli.link)(z)[1:-1], mean[1:-1]) <= 8
    drawn = continuous_bernoulli.sample(jnp.tile(z, (40_000, 1)), key=jax.random.key(0))
    assert ((drawn >= 0) & (drawn <= 1)).all()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.01)
    np.testing.assert_allclose(drawn.std(0), np.sqrt(variance), rtol=0.03, atol=1e-4)


def test_nll_adds_over_features_and_averages_over_samples(rng):
    z = rng.normal(0, 3, (4, 5)).astype(np.float32)
    y = rng.random((4, 5)).astype(np.float32)
    normaliser, _, _ = exact(z)
    expected = (z * (0.5 - y.astype(np.float64)) + normaliser).sum() / 4
    assert continuous_bernoulli_nll(z, y) == pytest.approx(expected, rel=1e-5)
