"""Huber, log-cosh and Charbonnier against their formulas in float64 and many digits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from jax.test_util import check_grads

from jaxae.losses import (
    CharbonnierError,
    HuberError,
    Loss,
    charbonnier,
    derivative_of,
    huber,
    log_cosh,
    log_cosh_error,
)
from jaxae.losses._error import name_of

EPSILON = float(np.float32(1e-3))  # what float32 makes of it
ERRORS = [HuberError(), HuberError(0.25), log_cosh_error, CharbonnierError(), CharbonnierError(2.0)]
EXTREMES = [1e30, -1e30, 1e4, -1e4, 1.0, 0.0, 1e-40]
every_error = pytest.mark.parametrize("error", ERRORS, ids=name_of)


def grid(rng):
    """Predictions up to ±100 and around 0, each against 0, 1, ½ and random targets."""
    predictions = [rng.uniform(-100, 100, 1000), rng.uniform(-3, 3, 1000), [0.0]]
    around_zero = [rng.normal(0, 1e-3, 300), rng.normal(0, 1e-20, 100)]
    targets = np.concatenate([[0, 1, 0.5], rng.uniform(-100, 100, 3)])
    p, y = (x.ravel() for x in np.meshgrid(np.concatenate(predictions + around_zero), targets))
    return jnp.asarray(p, jnp.float32), jnp.asarray(y, jnp.float32)


def log_cosh_of(d):
    """Log cosh d in 60 digits; for large d, where cosh d has too many, |d| − log 2."""
    with mpmath.workdps(60):
        near = [float(mpmath.log(mpmath.cosh(x))) for x in np.clip(d, -200, 200).tolist()]
    return np.where(abs(d) > 200, abs(d) - np.log(2), near)


def huber_of(delta):
    return lambda d: scipy.special.huber(delta, d), lambda d: np.clip(d, -delta, delta)


def charbonnier_of(epsilon):
    return lambda d: np.hypot(d, epsilon), lambda d: d / np.hypot(d, epsilon)


EXACT = dict(
    zip(
        ERRORS,
        [
            huber_of(1.0),
            huber_of(0.25),
            (log_cosh_of, np.tanh),
            charbonnier_of(EPSILON),
            charbonnier_of(2.0),
        ],
        strict=True,
    )
)


@every_error
def test_value_and_derivative_are_right_to_five_ulp(error, rng, ulp):
    p, y = grid(rng)
    value, slope = EXACT[error]
    d = np.asarray(p, np.float64) - np.asarray(y, np.float64)
    got, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(p, y)
    assert ulp(jax.jit(error)(p, y), value(d)) <= 5
    assert ulp(got, value(d)) <= 5
    assert ulp(gradient, slope(d)) <= 5
    np.testing.assert_allclose(derivative_of(error)(p, y), gradient, rtol=3e-7)


@every_error
def test_float64_is_right_to_its_own_precision(error, rng):
    d = np.concatenate([rng.uniform(-3, 3, 300), rng.normal(0, 1e-3, 100), [1, -1, 50, 1e12]])
    exact = charbonnier_of(1e-3) if error == CharbonnierError() else EXACT[error]
    with jax.enable_x64(True):
        value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(d, np.zeros_like(d))
        np.testing.assert_allclose(value, exact[0](d), rtol=2e-15)
        np.testing.assert_allclose(gradient, exact[1](d), rtol=2e-15)


@every_error
def test_second_order_agrees_with_finite_differences(error, rng):
    with jax.enable_x64(True):
        p, y = rng.normal(0, 3, (2, 5))
        p[0] = y[0] if error != CharbonnierError() else y[0] + 1
        check_grads(jax.jit(error), (p, y), order=2, modes=("fwd", "rev"), rtol=1e-4)


@every_error
def test_extreme_numbers_give_the_right_value_and_a_finite_gradient(error):
    p, y = (jnp.asarray(x.ravel(), jnp.float32) for x in np.meshgrid(EXTREMES, EXTREMES))
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(p, y)
    d = np.asarray(p, np.float64) - np.asarray(y, np.float64)
    np.testing.assert_allclose(value, EXACT[error][0](d), rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(gradient, EXACT[error][1](d), rtol=1e-6, atol=1e-37)
    assert jnp.isfinite(jax.jit(jax.vmap(jax.grad(jax.grad(error))))(p, y)).all()


@every_error
def test_derivative_is_zero_where_both_are_equal(error):
    assert jax.grad(error)(jnp.float32(0.3), jnp.float32(0.3)) == 0


def test_log_cosh_of_tiny_numbers_is_half_their_square():
    assert log_cosh_error(jnp.float32(1e-15), jnp.float32(0)) == pytest.approx(5e-31, rel=1e-6)


def test_curvatures_are_their_closed_forms(rng):
    d = rng.uniform(-3, 3, 50).astype(np.float32)
    curvature = {
        HuberError(): abs(d) < 1,
        log_cosh_error: 1 / np.cosh(d) ** 2,
        CharbonnierError(2.0): 4 / (d**2 + 4) ** 1.5,
    }
    for error, expected in curvature.items():
        got = jax.jit(jax.vmap(jax.grad(jax.grad(error))))(d, np.zeros_like(d))
        np.testing.assert_allclose(got, expected, rtol=2e-5)


def test_huber_of_a_large_delta_is_half_the_squared_error(rng):
    p, y = rng.normal(size=(2, 4, 3)).astype(np.float32)
    assert Loss(HuberError(100.0))(p, y) == pytest.approx(np.mean((p - y) ** 2) / 2, rel=1e-6)


def test_charbonnier_subtracts_no_epsilon():
    assert charbonnier(jnp.ones((1, 2)), jnp.ones((1, 2))) == np.float32(1e-3)


def test_ready_made_losses_average_over_all_numbers(rng):
    p, y = rng.normal(0, 2, (2, 4, 3)).astype(np.float32)
    for loss, exact in ((huber, huber_of(1.0)), (charbonnier, charbonnier_of(1e-3))):
        assert loss(p, y) == pytest.approx(exact[0](p - y).mean(), rel=1e-6)
    assert log_cosh(p, y) == pytest.approx(np.log(np.cosh(p - y)).mean(), rel=1e-5)


def test_what_keras_computes():
    """keras.losses.huber and log_cosh, computed with keras 3.15.1."""
    p, y = jnp.array([[3.0, 0.0, 1.0, -5.0]]), jnp.array([[0.25, 0.5, -2.0, 7.0]])
    assert Loss(HuberError(0.5))(p, y) == 2.15625
    assert huber(p, y) == 4.09375
    assert log_cosh(p, y) == pytest.approx(3.9493067, rel=1e-6)


@pytest.mark.parametrize("delta", [0.0, -1.0, 1e-46, float("nan"), float("inf")])
def test_a_delta_that_is_0_or_infinite_in_float32_is_refused(delta):
    with pytest.raises(ValueError, match=r"delta is .*, expected a number from 1e-30 to 1e\+30"):
        HuberError(delta)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 1e-20, float("inf"), float("nan")])
def test_an_epsilon_whose_square_is_no_float32_is_refused(epsilon):
    with pytest.raises(ValueError, match=r"epsilon is .*, expected a number from 1e-15 to 1e\+09"):
        CharbonnierError(epsilon)
