"""Closed forms, and the textbook's house prices computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    absolute_error,
    derivative_of,
    mae,
    mse,
    squared_error,
    sse,
    sse_per_sample,
)

# Predicted and true price and rooms of two houses.
PREDICTED, TRUE = [[300_000, 3], [500_000, 4]], [[350_000, 4], [450_000, 3]]
# (50,000² + 1² + 50,000² + 1²) and, over the four numbers, its mean and gradient.
SUM_OF_SQUARES, MEAN_OF_SQUARES = 5_000_000_002, 1_250_000_000.5
GRADIENT = [[-25_000, -0.5], [25_000, 0.5]]


def houses(dtype):
    return jnp.array(PREDICTED, dtype), jnp.array(TRUE, dtype)


def test_house_prices_in_float64():
    with jax.enable_x64(True):
        A, Y = houses(jnp.float64)
        assert mse(A, Y) == MEAN_OF_SQUARES
        assert sse(A, Y) == SUM_OF_SQUARES
        assert sse_per_sample(A, Y) == SUM_OF_SQUARES / 2
        assert jax.grad(mse)(A, Y).tolist() == GRADIENT


def test_house_prices_in_float32():
    A, Y = houses(jnp.float32)
    assert mse(A, Y) == 1_250_000_000
    assert sse(A, Y) == np.float32(SUM_OF_SQUARES)
    assert jax.grad(mse)(A, Y).tolist() == GRADIENT


def test_house_prices_are_the_textbooks_matrix_product():
    """SSE = ι_Nᵀ SE ι_C, the matrix of squared errors between two vectors of ones."""
    squared = (np.array(PREDICTED) - np.array(TRUE)) ** 2
    with jax.enable_x64(True):
        assert sse(*houses(jnp.float64)) == np.ones(2) @ squared @ np.ones(2)


@pytest.mark.parametrize("shape", [(100, 90), (7, 3, 2), (1, 1)])
def test_gradients_are_their_closed_forms(shape, rng):
    A, Y = rng.normal(size=(2, *shape)).astype(np.float32)
    samples, numbers = shape[0], A.size
    closed = {
        mse: 2 * (A - Y) / numbers,
        sse_per_sample: 2 * (A - Y) / samples,
        sse: 2 * (A - Y),
        mae: np.sign(A - Y) / numbers,
    }
    for loss, gradient in closed.items():
        np.testing.assert_allclose(jax.grad(loss)(A, Y), gradient, rtol=1e-6)


def test_weighted_gradient_is_divided_by_the_weights(rng):
    A, Y = rng.normal(size=(2, 5, 3)).astype(np.float32)
    w = np.array([0, 1, 2, 0.5, 3], np.float32)
    closed = 2 * w[:, None] * (A - Y) / (3 * w.sum())
    np.testing.assert_allclose(jax.grad(mse)(A, Y, weights=w), closed, rtol=1e-6)


def test_the_two_versions_differ_by_the_number_of_features(rng):
    A, Y = rng.normal(size=(2, 100, 90)).astype(np.float32)
    assert sse_per_sample(A, Y) == pytest.approx(float(90 * mse(A, Y)), rel=1e-6)
    assert sse(A, Y) == pytest.approx(float(100 * sse_per_sample(A, Y)), rel=1e-6)


def test_a_mean_does_not_double_with_the_batch_and_a_sum_does(rng):
    A, Y = rng.normal(size=(2, 32, 4)).astype(np.float32)
    twice = np.concatenate([A, A]), np.concatenate([Y, Y])
    assert mse(*twice) == pytest.approx(float(mse(A, Y)), rel=1e-6)
    assert sse(*twice) == pytest.approx(float(2 * sse(A, Y)), rel=1e-6)


def test_absolute_error_has_no_gradient_where_it_is_zero():
    assert jax.grad(mae)(jnp.ones((1, 2)), jnp.ones((1, 2))).tolist() == [[0, 0]]


@pytest.mark.parametrize("error", [squared_error, absolute_error])
def test_errors_and_derivatives_are_right_to_two_ulp(error, rng, ulp):
    p = np.concatenate([rng.uniform(-100, 100, 900), rng.normal(0, 1e-3, 50), [0, 1e-20]])
    p, y = (jnp.asarray(x.ravel(), jnp.float32) for x in np.meshgrid(p, [0, 1, 0.5, rng.random()]))
    d = np.asarray(p, np.float64) - np.asarray(y, np.float64)
    value, slope = {squared_error: (d**2, 2 * d), absolute_error: (abs(d), np.sign(d))}[error]
    got, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(p, y)
    assert ulp(got, value) <= 2
    assert ulp(jax.jit(error)(p, y), value) <= 2
    assert ulp(gradient, slope) <= 1
    assert derivative_of(error)(p, y).tolist() == gradient.tolist()


@pytest.mark.parametrize("extreme", [1e30, -1e30, 1e4, 1e-40])
def test_extreme_numbers_keep_a_finite_gradient(extreme):
    p, y = jnp.float32(extreme), jnp.float32(0)
    value, gradient = jax.value_and_grad(squared_error)(p, y)
    assert value == pytest.approx(np.inf if abs(extreme) == 1e30 else extreme**2, rel=1e-6)
    assert gradient == pytest.approx(2 * extreme, rel=1e-6, abs=1e-37)
    assert absolute_error(p, y) == pytest.approx(abs(extreme), rel=1e-6, abs=1e-37)


def test_absolute_error_has_no_curvature():
    second = jax.vmap(jax.grad(jax.grad(absolute_error)))
    assert second(jnp.array([-1.0, 0.0, 2.0]), jnp.zeros(3)).tolist() == [0, 0, 0]
