import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxae.losses import (
    bce,
    bce_from_probabilities,
    bernoulli,
    binary_cross_entropy,
    binary_cross_entropy_from_probabilities,
)

TARGETS = np.array([0, 1, 0.5, 0.1, 0.9, 1e-3])


def exact(z, y):
    """−y log σ(z) − (1 − y) log σ(−z) in float64, as a sum of non-negative parts."""
    z, y = np.asarray(z, np.float64), np.asarray(y, np.float64)
    return np.where(z > 0, z * (1 - y), -z * y) + np.log1p(np.exp(-abs(z)))


def slope(z, y):
    """(1 − y)σ(z) − yσ(−z) in float64."""
    z, y = np.asarray(z, np.float64), np.asarray(y, np.float64)
    return (1 - y) * scipy.special.expit(z) - y * scipy.special.expit(-z)


def ulp(got, expected, size=None):
    """The largest distance in float32's spacing at the expected size, floored at 2⁻¹²⁶."""
    size = abs(expected if size is None else size).astype(np.float32)
    spacing = np.maximum(np.spacing(size), 2.0**-126)
    return np.max(abs(np.asarray(got, np.float64) - expected) / spacing)


def grid(rng):
    logits = np.concatenate([rng.uniform(-100, 100, 2000), rng.normal(0, 1e-3, 500), [0.0]])
    z, y = (x.ravel() for x in np.meshgrid(logits, np.append(TARGETS, rng.random(4))))
    return jnp.asarray(z, jnp.float32), jnp.asarray(y, jnp.float32)


def test_value_from_logits_is_right_to_four_ulp(rng):
    z, y = grid(rng)
    assert ulp(jax.jit(binary_cross_entropy)(z, y), exact(z, y)) <= 4


def test_value_beside_its_derivative_is_right_to_four_ulp(rng):
    z, y = grid(rng)
    value, _ = jax.jvp(lambda z: binary_cross_entropy(z, y), (z,), (jnp.ones_like(z),))
    assert ulp(value, exact(z, y)) <= 4


def test_derivative_is_right_to_four_ulp_of_its_larger_term(rng):
    z, y = grid(rng)
    got = jax.vmap(jax.grad(binary_cross_entropy))(z, y)
    larger = np.maximum(slope(z, 0 * y) * (1 - y), -slope(z, 0 * y + 1) * y)
    assert ulp(got, slope(z, y), larger) <= 4


def test_derivative_keeps_its_digits_where_sigmoid_rounds_to_one():
    """At y = 1, σ(z) − 1 is 0 from logit 17 on in float32; the derivative is −σ(−z)."""
    gradient = jax.grad(binary_cross_entropy)(jnp.float32(30), jnp.float32(1))
    assert gradient == pytest.approx(-np.exp(-30.0), rel=1e-6)


def test_derivative_by_the_target_is_minus_the_logit():
    derivative = jax.grad(binary_cross_entropy, argnums=1)
    assert derivative(jnp.float32(3.5), jnp.float32(0.2)) == -3.5


@pytest.mark.parametrize("z", [1e4, -1e4, 1e30, -1e30, 1e-40, 0.0, 104.0])
@pytest.mark.parametrize("y", TARGETS)
def test_extreme_logits_stay_finite(z, y):
    value, gradient = jax.value_and_grad(binary_cross_entropy)(jnp.float32(z), jnp.float32(y))
    assert value == pytest.approx(exact(np.float32(z), np.float32(y)), rel=1e-6)
    assert gradient == pytest.approx(slope(np.float32(z), np.float32(y)), rel=1e-5, abs=1e-37)


@pytest.mark.parametrize("y", TARGETS)
def test_the_minimum_on_grey_targets_is_their_entropy_and_not_zero(y):
    entropy = -sum(p * np.log(p) for p in (y, 1 - y) if p > 0)
    p = jnp.float32(y)
    assert binary_cross_entropy_from_probabilities(p, p) == pytest.approx(entropy, rel=1e-5)
    if 0 < y < 1:
        z = jnp.float32(np.log(y / (1 - y)))
        assert binary_cross_entropy(z, p) == pytest.approx(entropy, rel=1e-5)
        assert jax.grad(binary_cross_entropy)(z, p) == pytest.approx(0, abs=1e-7)


def test_probabilities_and_their_logits_agree(rng):
    z, y = rng.normal(0, 3, (2, 4, 5)).astype(np.float32)
    y = bernoulli.link(y)
    probabilities = bernoulli.link(z)
    assert bce_from_probabilities(probabilities, y) == pytest.approx(float(bce(z, y)), rel=1e-5)


@pytest.mark.parametrize(
    ("p", "y", "value", "slope"),
    [(0, 0, 0, 1), (1, 1, 0, -1), (0, 1, 100, -1e12), (1, 0, 100, 1e12), (1e-20, 0, 1e-20, 1)],
)
def test_certain_probabilities_are_finite(p, y, value, slope):
    got, gradient = jax.value_and_grad(binary_cross_entropy_from_probabilities)(
        jnp.float32(p), jnp.float32(y)
    )
    assert got == np.float32(value)
    assert gradient == pytest.approx(slope)


def test_derivative_from_probabilities_is_its_closed_form(rng):
    p, y = rng.uniform(0.01, 0.99, (2, 50)).astype(np.float32)
    got = jax.vmap(jax.grad(binary_cross_entropy_from_probabilities))(p, y)
    np.testing.assert_allclose(got, (p - y) / (p * (1 - p)), rtol=1e-5)
    got = jax.vmap(jax.grad(binary_cross_entropy_from_probabilities, argnums=1))(p, y)
    np.testing.assert_allclose(got, np.log1p(-p) - np.log(p), rtol=1e-4, atol=1e-6)


def test_mean_pixel_entropy_of_mnist_is_the_floor(mnist_dir):
    """The floor that ../shared/data/mnist/README.md gives for the test images: 0.05808 nats."""
    from jaxae.data import load

    test = load("mnist", mnist_dir).test
    assert bce_from_probabilities(test, test) == pytest.approx(0.05808, abs=5e-6)
