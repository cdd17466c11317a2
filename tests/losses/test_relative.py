"""Squared logarithmic error and absolute percentage error against their formulas."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import AbsolutePercentageError, Loss, derivative_of, mape, msle, squared_log_error

EXTREMES = [1e30, -1e30, 1e4, -1e4, 1.0, -1.0, 0.0, 1e-40]


def log_ratio(p, y):
    """Log(1 + p) − log(1 + y) in 60 digits, negative numbers counted as 0."""
    with mpmath.workdps(60):
        logs = [[mpmath.log1p(max(float(x), 0.0)) for x in side] for side in (p, y)]
        return np.array([float(a - b) for a, b in zip(*logs, strict=True)])


def log_grid(rng):
    """Pairs of all sizes, pairs that are nearly equal, and 0."""
    p = np.concatenate([rng.uniform(-5, 100, 800), rng.normal(0, 1e-3, 200), rng.random(200)])
    y = np.concatenate([rng.uniform(-5, 100, 800), rng.random(200), np.zeros(200)])
    near = rng.uniform(0, 100, 800)
    p, y = np.concatenate([p, near]), np.concatenate([y, near * (1 + rng.normal(0, 1e-6, 800))])
    return p.astype(np.float32), y.astype(np.float32)


def test_squared_log_error_is_right_to_eight_ulp(rng, ulp):
    p, y = log_grid(rng)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(squared_log_error)))(p, y)
    ratio = log_ratio(p, y)
    slope = np.where(p < 0, 0, 2 * ratio / (1 + np.maximum(p, 0).astype(np.float64)))
    assert ulp(jax.jit(squared_log_error)(p, y), ratio**2) <= 8
    assert ulp(value, ratio**2) <= 8
    assert ulp(gradient, slope) <= 8
    np.testing.assert_allclose(jax.jit(derivative_of(squared_log_error))(p, y), gradient, rtol=1e-6)


def test_squared_log_error_counts_negative_numbers_as_zero_without_gradient():
    p, y = jnp.array([-3.0, -3.0, 2.0, -1.0]), jnp.array([-1.0, 5.0, -4.0, 0.0])
    function = jax.jit(jax.vmap(jax.value_and_grad(squared_log_error, argnums=(0, 1))))
    value, (gradient, by_target) = function(p, y)
    assert value.tolist() == function(jnp.maximum(p, 0), jnp.maximum(y, 0))[0].tolist()
    assert (gradient == 0).tolist() == [True, True, False, True]
    assert by_target[2] == 0


def test_squared_log_error_of_extreme_numbers_is_finite():
    p, y = (jnp.asarray(x.ravel(), jnp.float32) for x in np.meshgrid(EXTREMES, EXTREMES))
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(squared_log_error)))(p, y)
    curvature = jax.jit(jax.vmap(jax.grad(jax.grad(squared_log_error))))(p, y)
    np.testing.assert_allclose(value, log_ratio(p, y) ** 2, rtol=1e-6, atol=1e-37)
    assert jnp.isfinite(gradient).all()
    assert jnp.isfinite(curvature).all()


def test_squared_log_error_has_its_second_order(rng):
    with jax.enable_x64(True):
        p, y = rng.uniform(0.1, 9, (2, 6))
        p[0] = y[0]
        check_grads(jax.jit(squared_log_error), (p, y), order=2, modes=("fwd", "rev"), rtol=1e-5)
        at_equality = jax.jit(jax.grad(jax.grad(squared_log_error)))
        assert at_equality(jnp.asarray(3.0), jnp.asarray(3.0)) == pytest.approx(2 / 4**2)


def test_percentage_error_is_its_definition(rng, ulp):
    error = AbsolutePercentageError(0.25)
    p, y = rng.uniform(-100, 100, (2, 1000)).astype(np.float32)
    y[:50] *= 1e-3
    size = np.maximum(abs(y.astype(np.float64)), 0.25)
    d = p.astype(np.float64) - y.astype(np.float64)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(p, y)
    assert ulp(value, 100 * abs(d) / size) <= 4
    assert ulp(gradient, 100 * np.sign(d) / size) <= 2
    np.testing.assert_allclose(jax.jit(derivative_of(error))(p, y), gradient, rtol=3e-7)


def test_percentage_error_of_extreme_numbers_is_right_or_infinite_with_finite_gradient():
    p, y = (jnp.asarray(x.ravel(), jnp.float32) for x in np.meshgrid(EXTREMES, EXTREMES))
    both = jax.jit(jax.vmap(jax.value_and_grad(AbsolutePercentageError(), (0, 1))))
    value, (gradient, by_target) = both(p, y)
    p64, y64 = np.asarray(p, np.float64), np.asarray(y, np.float64)
    expected = 100 * abs(p64 - y64) / np.maximum(abs(y64), 1e-7)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(value, expected.astype(np.float32), rtol=1e-6, atol=1e-30)
    assert jnp.isinf(value).any()
    assert jnp.isfinite(gradient).all()
    assert (gradient[p == y] == 0).all()
    assert jnp.isfinite(by_target).all()


def test_percentage_error_by_the_target_agrees_with_finite_differences():
    with jax.enable_x64(True):
        p, y = jnp.array([3.0, -1.0, 2.0, 0.01]), jnp.array([4.0, 2.0, -3.0, 0.02])
        check_grads(jax.jit(AbsolutePercentageError(0.1)), (p, y), order=2, modes=("fwd", "rev"))


def test_what_keras_and_scikit_learn_compute():
    """Keras 3.15.1; scikit-learn 1.9.1 gives the same squared log error, and 0.3273809 for mape."""
    true, predicted = jnp.array([[3.0, -0.5, 2.0, 7.0]]), jnp.array([[2.5, 0.0, 2.0, 8.0]])
    assert mape(predicted, true) == pytest.approx(32.738094, rel=1e-6)
    true, predicted = jnp.array([[3.0, 5.0, 2.5, 7.0]]), jnp.array([[2.5, 5.0, 4.0, 8.0]])
    assert msle(predicted, true) == pytest.approx(0.03973012, rel=1e-6)
    # With negative numbers, which Keras clamps at 1e-7.
    true, predicted = jnp.array([[0.25, 0.5, -2.0, 7.0]]), jnp.array([[3.0, 0.0, 1.0, -5.0]])
    assert msle(predicted, true) == pytest.approx(1.5804629, rel=1e-6)


def test_a_target_of_zero_counts_as_epsilon():
    loss = Loss(AbsolutePercentageError(0.5))
    assert loss(jnp.array([[1.0]]), jnp.array([[0.0]])) == 200


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 1e-35, float("nan"), float("inf")])
def test_an_epsilon_that_divides_beyond_float32_is_refused(epsilon):
    with pytest.raises(ValueError, match=r"epsilon is .*, expected a number from 1e-30 to 1e\+30"):
        AbsolutePercentageError(epsilon)
