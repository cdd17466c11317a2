import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import GaussianError, Loss, SharedScaleGaussian, mse, shared_gaussian_nll

UNITS = ["element", "sample"]


def direct(A, Y, unit, where=True, weights=1.0, minimum=1e-12):
    """The negative log-likelihood at the best variance, in NumPy and float64."""
    weights = np.reshape(weights, np.shape(weights) + (1,) * (A.ndim - np.ndim(weights)))
    w = np.broadcast_to(weights, A.shape) * where
    variance = max(np.sum(w * (A - Y) ** 2) / w.sum(), minimum)
    errors = 0.5 * ((A - Y) ** 2 / variance + np.log(2 * np.pi * variance))
    counts = w if unit == "element" else w.reshape(len(A), -1).max(1)
    return np.sum(w * errors) / counts.sum()


@pytest.mark.parametrize("unit", UNITS)
def test_is_its_definition_on_whole_batches(unit, rng):
    with jax.enable_x64(True):
        A, Y = rng.normal(size=(2, 6, 4, 3))
        where, weights = rng.random(A.shape) > 0.3, rng.uniform(0, 2, 6)
        loss = SharedScaleGaussian(unit=unit)
        for arguments in ({}, {"where": where}, {"where": where, "weights": weights}):
            expected = direct(A, Y, unit, **arguments)
            assert float(loss(A, Y, **arguments)) == pytest.approx(expected, rel=1e-12)


def test_is_the_formula_of_the_paper(rng):
    A, Y = rng.normal(size=(2, 6, 5)).astype(np.float32)
    expected = 5 * 0.5 * (math.log(2 * math.pi * float(mse(A, Y))) + 1)
    assert shared_gaussian_nll(A, Y) == pytest.approx(expected, rel=1e-6)
    assert shared_gaussian_nll.scale(A, Y) == pytest.approx(math.sqrt(mse(A, Y)), rel=1e-6)


def test_no_other_scale_is_better(rng):
    A, Y = rng.normal(size=(2, 6, 5)).astype(np.float32)
    best = float(shared_gaussian_nll.scale(A, Y))
    at = [Loss(GaussianError(best * factor), "sample")(A, Y) for factor in (0.9, 1, 1.1)]
    assert shared_gaussian_nll(A, Y) == pytest.approx(float(at[1]), rel=1e-6)
    assert at[1] < min(at[0], at[2])


@pytest.mark.parametrize("unit", UNITS)
def test_the_gradient_is_that_of_the_likelihood_at_the_best_scale_held_fixed(unit, rng):
    """The envelope theorem: at the best scale the derivative by the scale is 0."""
    with jax.enable_x64(True):
        A, Y = rng.normal(size=(2, 6, 5))
        loss = SharedScaleGaussian(unit=unit)
        fixed = Loss(GaussianError(float(loss.scale(A, Y))), unit=unit)
        np.testing.assert_allclose(jax.grad(loss)(A, Y), jax.grad(fixed)(A, Y), rtol=1e-12)


@pytest.mark.parametrize("minimum", [1e-12, 100.0])
def test_derivatives_agree_with_finite_differences_on_both_sides_of_the_minimum(minimum, rng):
    with jax.enable_x64(True):
        A, Y = rng.normal(size=(2, 3, 2))
        loss = SharedScaleGaussian(minimum_variance=minimum)
        check_grads(lambda A: loss(A, Y), (A,), order=2, modes=["fwd"])


@pytest.mark.parametrize("distance", [0.0, 0.01, 0.1, 1.0])
def test_a_variance_below_the_minimum_counts_as_the_minimum(distance):
    A, Y = jnp.full((4, 3), distance), jnp.zeros((4, 3))
    loss = SharedScaleGaussian(minimum_variance=0.01)
    expected = direct(np.asarray(A, np.float64), np.zeros((4, 3)), "sample", minimum=0.01)
    value, gradient = jax.value_and_grad(loss)(A, Y)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, A / 4 / max(distance**2, 0.01), rtol=1e-5)
    assert loss.scale(A, Y) == pytest.approx(max(distance, 0.1), rel=1e-6)


def test_a_batch_met_exactly_is_finite():
    A = jnp.ones((2, 3))
    value, gradient = jax.value_and_grad(shared_gaussian_nll)(A, A)
    assert value == pytest.approx(1.5 * math.log(2 * math.pi * 1e-12), rel=1e-6)
    assert (gradient == 0).all()


@pytest.mark.parametrize("unit", UNITS)
def test_everything_masked_is_zero_with_zero_gradient(unit):
    A = jnp.full((2, 3), jnp.nan)
    loss = SharedScaleGaussian(unit=unit)
    value, gradient = jax.value_and_grad(loss)(A, A, where=jnp.zeros((2, 3), bool))
    assert repr(float(value)) == "0.0"  # not -0.0
    assert (gradient == 0).all()


def test_errors_whose_squares_overflow_leave_a_finite_gradient():
    value, gradient = jax.value_and_grad(shared_gaussian_nll)(
        jnp.array([[1e30, 1.0]]), jnp.zeros((1, 2))
    )
    assert value == jnp.inf
    assert jnp.isfinite(gradient).all()


def test_each_sample_alone_has_a_scale_of_its_own(rng):
    A, Y = rng.normal(size=(2, 3, 5)).astype(np.float32)
    loop = [shared_gaussian_nll(A[i : i + 1], Y[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(shared_gaussian_nll.per_sample(A, Y), loop, rtol=1e-6)


def test_data_in_other_units_shift_the_value_by_a_constant(rng):
    """The density of data 100 times as large is 100 times as small for each number."""
    A, Y = rng.normal(size=(2, 4, 5)).astype(np.float32)
    shift = shared_gaussian_nll(100 * A, 100 * Y) - shared_gaussian_nll(A, Y)
    assert shift == pytest.approx(5 * math.log(100), rel=1e-5)


def test_equal_ones_built_again_are_equal_and_say_what_they_are():
    assert SharedScaleGaussian() == shared_gaussian_nll
    assert hash(SharedScaleGaussian()) == hash(shared_gaussian_nll)
    assert SharedScaleGaussian(minimum_variance=1e-6) != shared_gaussian_nll
    assert repr(shared_gaussian_nll) == "SharedScaleGaussian('sample', minimum_variance=1e-12)"


@pytest.mark.parametrize("minimum", [0.0, -1.0, math.nan, math.inf])
def test_a_minimum_that_is_not_positive_is_refused(minimum):
    with pytest.raises(ValueError, match="expected a number from"):
        SharedScaleGaussian(minimum_variance=minimum)


def test_an_unknown_unit_is_refused():
    loss = SharedScaleGaussian()
    object.__setattr__(loss, "unit", "total")  # the tests' type checker refuses it earlier
    with pytest.raises(ValueError, match="unit is 'total', expected one of element, sample"):
        loss.__post_init__()
