"""The quantile error: its formula, its derivative, and the quantile that it finds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import Loss, QuantileError, derivative_of, mae, pinball

QUANTILES = [0.1, 0.5, 0.9]
EXTREMES = [1e30, -1e30, 1e4, 1.0, 0.0, 1e-40]
every_quantile = pytest.mark.parametrize("quantile", QUANTILES)


@every_quantile
def test_is_its_definition(quantile, rng, ulp):
    p, y = rng.uniform(-100, 100, (2, 1000)).astype(np.float32)
    below = np.asarray(y, np.float64) - np.asarray(p, np.float64)
    expected = np.maximum(quantile * below, (quantile - 1) * below)
    assert ulp(jax.jit(QuantileError(quantile))(p, y), expected) <= 3


@every_quantile
def test_derivative_is_minus_q_below_one_minus_q_above_and_zero_where_equal(quantile):
    error = QuantileError(quantile)
    p, y = jnp.array([1.0, 3.0, 2.0, 1e-20, -1e30]), jnp.array([2.0, 2.0, 2.0, 0.0, 1e30])
    expected = np.array([-quantile, 1 - quantile, 0, 1 - quantile, -quantile], np.float32)
    assert jax.vmap(jax.grad(error))(p, y).tolist() == expected.tolist()
    assert derivative_of(error)(p, y).tolist() == expected.tolist()
    assert jax.vmap(jax.grad(error, argnums=1))(p, y).tolist() == (-expected).tolist()


@every_quantile
def test_extreme_numbers_are_finite_and_not_curved(quantile):
    p, y = (jnp.asarray(x.ravel(), jnp.float32) for x in np.meshgrid(EXTREMES, EXTREMES))
    error = QuantileError(quantile)
    d = np.asarray(p, np.float64) - np.asarray(y, np.float64)
    expected = abs(d) * np.where(d < 0, quantile, 1 - quantile)
    np.testing.assert_allclose(error(p, y), expected, rtol=1e-6, atol=1e-37)
    assert (jax.jit(jax.vmap(jax.grad(jax.grad(error))))(p, y) == 0).all()


@every_quantile
def test_the_best_constant_is_the_quantile_of_the_targets(quantile, rng):
    """Of 99 numbers, the one that as many lie below as the quantile says."""
    targets = np.sort(rng.normal(size=99)).astype(np.float32)
    loss = Loss(QuantileError(quantile))
    batches = np.broadcast_to(targets[:, None], (99, 99))
    losses = jax.vmap(lambda p, y: loss(p[:, None], y[:, None]))(batches, batches.T)
    assert targets[losses.argmin()] == targets[round(quantile * 100) - 1]


def test_what_scikit_learn_computes():
    """sklearn.metrics.mean_pinball_loss, computed with scikit-learn 1.9.1."""
    true = jnp.array([[1.0, 2.0, 3.0]])
    low, high = jnp.array([[0.0, 2.0, 3.0]]), jnp.array([[1.0, 2.0, 4.0]])
    for quantile, expected in ((0.1, (1 / 30, 0.3)), (0.9, (0.3, 1 / 30))):
        loss = Loss(QuantileError(quantile))
        assert (loss(low, true), loss(high, true)) == pytest.approx(expected, rel=1e-6)


def test_the_median_is_half_the_absolute_error(rng):
    p, y = rng.normal(size=(2, 4, 3)).astype(np.float32)
    assert pinball(p, y) == pytest.approx(float(mae(p, y)) / 2, rel=1e-6)


def test_float64_is_right_to_its_own_precision(rng):
    with jax.enable_x64(True):
        p, y = rng.normal(size=(2, 50))
        expected = np.maximum(0.3 * (y - p), -0.7 * (y - p))
        np.testing.assert_allclose(QuantileError(0.3)(jnp.array(p), jnp.array(y)), expected, 1e-15)


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.1, 50.0, float("nan")])
def test_a_quantile_that_is_not_between_0_and_1_is_refused(quantile):
    with pytest.raises(ValueError, match=r"quantile is .*, expected a number above 0 and below 1"):
        QuantileError(quantile)
