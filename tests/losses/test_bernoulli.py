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
    """Logits up to ±100 and a dense grid of |z| < 1, against targets of all sizes."""
    logits = [rng.uniform(-100, 100, 2000), np.linspace(-1, 1, 2001), rng.normal(0, 1e-3, 500)]
    targets = np.concatenate([TARGETS, rng.random(4), 10 ** rng.uniform(-38, 0, 6)])
    z, y = (x.ravel() for x in np.meshgrid(np.concatenate(logits), targets))
    return jnp.asarray(z, jnp.float32), jnp.asarray(y, jnp.float32)


def test_value_and_derivative_are_right_to_four_ulp(rng, ulp):
    """The derivative at targets between 0 and 1 to four ULP of the larger of its two terms."""
    z, y = grid(rng)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(binary_cross_entropy)))(z, y)
    for got in (value, jax.jit(binary_cross_entropy)(z, y)):
        assert ulp(got, exact(z, y)) <= 4
    larger = np.maximum(slope(z, 0 * y) * (1 - np.float64(y)), -slope(z, 0 * y + 1) * y)
    assert ulp(gradient, slope(z, y), larger) <= 4
    closed = jax.jit(derivative_of(binary_cross_entropy))(z, y)
    np.testing.assert_array_equal(gradient, closed)


def test_derivative_keeps_its_digits_where_sigmoid_rounds_to_one():
    """At y = 1, σ(z) − 1 is 0 from logit 17 on in float32; the derivative is −σ(−z)."""
    gradient = jax.grad(binary_cross_entropy)(jnp.float32(30), jnp.float32(1))
    assert gradient == pytest.approx(-np.exp(-30.0), rel=1e-6)


def test_derivative_by_the_target_is_minus_the_logit():
    derivative = jax.grad(binary_cross_entropy, argnums=1)
    assert derivative(jnp.float32(3.5), jnp.float32(0.2)) == -3.5


def extremes(targets):
    """Every extreme logit against every target."""
    return (x.ravel() for x in np.meshgrid(np.float32(EXTREMES), np.float32(targets)))


def test_extreme_logits_stay_finite():
    z, y = extremes(TARGETS)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(binary_cross_entropy)))(z, y)
    np.testing.assert_allclose(value, exact(z, y), rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(gradient, slope(z, y), rtol=1e-5, atol=1e-37)


def test_the_minimum_on_grey_targets_is_their_entropy_and_not_zero():
    p = np.float32(TARGETS)
    entropy = scipy.special.entr(TARGETS) + scipy.special.entr(1 - TARGETS)
    least = jax.jit(binary_cross_entropy_from_probabilities)(p, p)
    np.testing.assert_allclose(least, entropy, rtol=1e-5)
    y = p[2:]
    function = jax.jit(jax.vmap(jax.value_and_grad(binary_cross_entropy)))
    value, gradient = function(scipy.special.logit(y), y)
    np.testing.assert_allclose(value, entropy[2:], rtol=1e-5)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)


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
    assert ulp(jax.jit(error)(z, y), expected) <= 4
    positive, negative = weight * y64 * slope(z64, 1), (1 - y64) * slope(z64, 0)
    larger = np.maximum(-positive, negative)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(z, y)
    assert ulp(gradient, positive + negative, larger) <= 4
    np.testing.assert_array_equal(gradient, jax.jit(error.derivative)(z, y))
    assert ulp(value, expected) <= 4


def test_without_weight_and_smoothing_it_is_binary_cross_entropy(rng):
    z, y = grid(rng)
    error = BinaryCrossEntropy()
    for ours, plain in (
        (error, binary_cross_entropy),
        (error.derivative, derivative_of(binary_cross_entropy)),
    ):
        np.testing.assert_array_equal(jax.jit(ours)(z, y), jax.jit(plain)(z, y))


def test_smoothing_is_that_of_keras():
    """Keras 3.15.1: BinaryCrossentropy(from_logits=True, label_smoothing=0.1)."""
    z, y = jnp.array([[-2.0, 0.5, 3.0]]), jnp.array([[1.0, 0.0, 1.0]])
    smoothed = Loss(BinaryCrossEntropy(label_smoothing=0.1))
    assert smoothed(z, y) == pytest.approx(1.0581974983215332, rel=1e-6)


def test_derivatives_by_the_target_are_differences_of_the_two_parts(rng):
    z, y = (x[:200] for x in grid(rng))
    error = BinaryCrossEntropy(pos_weight=3.0, label_smoothing=0.2)
    got = jax.jit(jax.vmap(jax.grad(error, argnums=1)))(z, y)
    np.testing.assert_allclose(got, 0.8 * (3 * exact(z, 1) - exact(z, 0)), rtol=1e-5, atol=1e-6)


def test_weighted_extremes_are_finite_to_second_order():
    error = BinaryCrossEntropy(pos_weight=3.0, label_smoothing=0.1)
    both = jax.jit(
        jax.vmap(lambda z, y: (jax.value_and_grad(error)(z, y), jax.hessian(error)(z, y)))
    )
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(both(*extremes([0.0, 1.0, 0.3]))))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pos_weight": 0.0}, r"pos_weight is 0\.0, expected a number from 1e-30 to 1e\+30"),
        ({"pos_weight": 1e300}, r"pos_weight is 1e\+300"),
        ({"pos_weight": float("nan")}, "pos_weight is nan"),
        ({"pos_weight": float("inf")}, "pos_weight is inf"),
        ({"label_smoothing": 1.1}, r"label_smoothing is 1\.1, expected a number from 0 to 1"),
        ({"label_smoothing": -0.1}, r"label_smoothing is -0\.1"),
        ({"label_smoothing": float("nan")}, "label_smoothing is nan"),
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
