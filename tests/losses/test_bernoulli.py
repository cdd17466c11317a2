import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxae.losses import (
    BinaryCrossEntropy,
    Loss,
    bce,
    bce_from_probabilities,
    bernoulli,
    bernoulli_nll,
    binary_cross_entropy,
    binary_cross_entropy_from_probabilities,
    derivative_of,
)

TARGETS = np.array([0, 1, 0.5, 0.1, 0.9, 1e-3])
EXTREMES = [1e4, -1e4, 1e30, -1e30, 1e-40, 0.0, 104.0]


def exact(z, y):
    """−y log σ(z) − (1 − y) log σ(−z) in float64, as a sum of non-negative parts."""
    z, y = np.asarray(z, np.float64), np.asarray(y, np.float64)
    return np.where(z > 0, z * (1 - y), -z * y) + np.log1p(np.exp(-abs(z)))


def slope(z, y):
    """(1 − y)σ(z) − yσ(−z) in float64."""
    z, y = np.asarray(z, np.float64), np.asarray(y, np.float64)
    return (1 - y) * scipy.special.expit(z) - y * scipy.special.expit(-z)


def grid(rng):
    logits = np.concatenate([rng.uniform(-100, 100, 2000), rng.normal(0, 1e-3, 500), [0.0]])
    z, y = (x.ravel() for x in np.meshgrid(logits, np.append(TARGETS, rng.random(4))))
    return jnp.asarray(z, jnp.float32), jnp.asarray(y, jnp.float32)


def test_value_from_logits_is_right_to_four_ulp(rng, ulp):
    z, y = grid(rng)
    assert ulp(jax.jit(binary_cross_entropy)(z, y), exact(z, y)) <= 4


def test_value_beside_its_derivative_is_right_to_four_ulp(rng, ulp):
    z, y = grid(rng)
    value, _ = jax.jvp(lambda z: binary_cross_entropy(z, y), (z,), (jnp.ones_like(z),))
    assert ulp(value, exact(z, y)) <= 4


def test_derivative_is_right_to_four_ulp_of_its_larger_term(rng, ulp):
    z, y = grid(rng)
    got = jax.vmap(jax.grad(binary_cross_entropy))(z, y)
    larger = np.maximum(slope(z, 0 * y) * (1 - y), -slope(z, 0 * y + 1) * y)
    assert ulp(got, slope(z, y), larger) <= 4


def test_the_closed_form_is_the_gradient_bit_for_bit(rng):
    z, y = grid(rng)
    got = jax.vmap(jax.grad(binary_cross_entropy))(z, y)
    np.testing.assert_array_equal(got, derivative_of(binary_cross_entropy)(z, y))


def test_derivative_keeps_its_digits_where_sigmoid_rounds_to_one():
    """At y = 1, σ(z) − 1 is 0 from logit 17 on in float32; the derivative is −σ(−z)."""
    gradient = jax.grad(binary_cross_entropy)(jnp.float32(30), jnp.float32(1))
    assert gradient == pytest.approx(-np.exp(-30.0), rel=1e-6)


def test_derivative_by_the_target_is_minus_the_logit():
    derivative = jax.grad(binary_cross_entropy, argnums=1)
    assert derivative(jnp.float32(3.5), jnp.float32(0.2)) == -3.5


@pytest.mark.parametrize("z", EXTREMES)
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


@pytest.mark.parametrize("weight", [0.2, 3.0])
def test_a_weight_multiplies_the_part_of_the_positive_class(weight, rng, ulp):
    z, y = grid(rng)
    error = BinaryCrossEntropy(pos_weight=weight)
    z64, y64 = np.asarray(z, np.float64), np.asarray(y, np.float64)
    expected = weight * y64 * exact(z64, 1) + (1 - y64) * exact(z64, 0)
    assert ulp(error(z, y), expected) <= 4
    positive, negative = weight * y64 * slope(z64, 1), (1 - y64) * slope(z64, 0)
    larger = np.maximum(-positive, negative)
    assert ulp(error.derivative(z, y), positive + negative, larger) <= 4
    value, derivative = jax.jvp(lambda z: error(z, y), (z,), (jnp.ones_like(z),))
    np.testing.assert_array_equal(derivative, error.derivative(z, y))
    assert ulp(value, expected) <= 4


def test_without_weight_and_smoothing_it_is_binary_cross_entropy(rng):
    z, y = grid(rng)
    error = BinaryCrossEntropy()
    np.testing.assert_array_equal(error(z, y), binary_cross_entropy(z, y))
    np.testing.assert_array_equal(error.derivative(z, y), derivative_of(binary_cross_entropy)(z, y))


def test_smoothing_is_that_of_keras():
    """Keras 3.15.1: BinaryCrossentropy(from_logits=True, label_smoothing=0.1)."""
    z, y = jnp.array([[-2.0, 0.5, 3.0]]), jnp.array([[1.0, 0.0, 1.0]])
    smoothed = Loss(BinaryCrossEntropy(label_smoothing=0.1))
    assert smoothed(z, y) == pytest.approx(1.0581974983215332, rel=1e-6)


def test_derivatives_by_the_target_are_differences_of_the_two_parts(rng):
    z, y = (x[:200] for x in grid(rng))
    error = BinaryCrossEntropy(pos_weight=3.0, label_smoothing=0.2)
    got = jax.vmap(jax.grad(error, argnums=1))(z, y)
    np.testing.assert_allclose(got, 0.8 * (3 * exact(z, 1) - exact(z, 0)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("z", EXTREMES)
@pytest.mark.parametrize("y", [0.0, 1.0, 0.3])
def test_weighted_extremes_are_finite_to_second_order(z, y):
    error = BinaryCrossEntropy(pos_weight=3.0, label_smoothing=0.1)
    z, y = jnp.float32(z), jnp.float32(y)
    first, second = jax.grad(error), jax.hessian(error)
    assert all(jnp.isfinite(f(z, y)) for f in (error, first, second))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pos_weight": 0.0}, r"pos_weight is 0\.0, expected a positive number"),
        ({"pos_weight": float("nan")}, "expected a positive number"),
        ({"label_smoothing": 1.1}, r"label_smoothing is 1\.1, expected a number between 0 and 1"),
        ({"label_smoothing": -0.1}, "expected a number between 0 and 1"),
    ],
)
def test_hyperparameters_without_meaning_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BinaryCrossEntropy(**arguments)


def test_nll_is_in_nats_per_sample(rng):
    z, y = rng.normal(size=(3, 5)).astype(np.float32), np.ones((3, 5), np.float32)
    assert bernoulli_nll(z, y) == pytest.approx(exact(z, y).sum() / 3)
    weights = np.array([0, 2, 1], np.float32)
    expected = exact(z, y).sum(1) @ weights / 3
    assert bernoulli_nll(z, y, weights=weights) == pytest.approx(expected)


def test_the_sampler_draws_pixels_of_the_mean(rng):
    z = jnp.broadcast_to(jnp.array([-2.0, 0.0, 1.0]), (20_000, 3))
    draws = bernoulli.sample(z, key=jax.random.key(0))
    assert set(np.unique(draws)) == {0, 1}
    np.testing.assert_allclose(draws.mean(0), bernoulli.link(z[0]), atol=0.015)
