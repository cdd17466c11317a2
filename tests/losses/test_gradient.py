"""Gradients written out, against `jax.grad`, NumPy and each other."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    Loss,
    SharedScaleGaussian,
    analytic_gradient,
    backward,
    bce,
    binary_cross_entropy_from_probabilities,
    check_gradient,
    forward,
    mse,
    squared_error,
    sse,
    sse_per_sample,
)
from jaxae.losses.conventions import CONVENTIONS, KERAS_2_2, Scaled
from tests.losses.catalogue import ELEMENTWISE, LOSSES, example, name_of

UNITS, COUNTS = ("element", "sample", "total"), ("weight", "valid", "nonzero", "all")
REDUCTIONS = [Loss(squared_error, unit, count) for unit in UNITS for count in COUNTS]
NAMED = [c(squared_error) for c in CONVENTIONS.values() if c.unit != "none"]


def batch(rng, shape=(4, 3, 2)):
    return rng.normal(size=shape).astype(np.float32), rng.random(shape).astype(np.float32)


def test_the_closed_form_is_jax_grad_in_every_convention_unit_and_count(rng):
    losses = list(dict.fromkeys([*REDUCTIONS, *NAMED, bce]))
    A, Y = batch(rng)
    where, weights = rng.random((4, 3)) > 0.3, rng.integers(0, 3, 4).astype(np.float32)
    masked = np.where(where[..., None], A, np.nan)

    @jax.jit
    def gradients(A, masked, Y, where, weights):
        coverings = {
            "neither": (A, {}),
            "a mask": (masked, {"where": where}),
            "weights": (A, {"weights": weights}),
            "both": (masked, {"where": where, "weights": weights}),
        }
        return [
            {
                covered: (analytic_gradient(loss)(x, Y, **c), jax.grad(loss)(x, Y, **c))
                for covered, (x, c) in coverings.items()
            }
            for loss in losses
        ]

    for loss, found in zip(losses, gradients(A, masked, Y, where, weights), strict=True):
        for covered, (got, expected) in found.items():
            np.testing.assert_allclose(got, expected, rtol=1e-6, err_msg=f"{loss}, {covered}")
            absent = ~where if covered in ("a mask", "both") else np.zeros((4, 3), bool)
            assert (got[absent] == 0).all()
            assert (got != 0).any()


def all_reductions(loss):
    """The loss's error in every unit and count; a "total" counts nothing."""
    if isinstance(loss, SharedScaleGaussian):
        return [SharedScaleGaussian(unit) for unit in ("element", "sample")]
    return [Loss(loss.error, unit, count) for unit in UNITS[:2] for count in COUNTS]


BATCH_LOSSES = {x.error: x for x in ELEMENTWISE.values() if isinstance(x, Loss)}.values()


@pytest.mark.parametrize("loss", [*BATCH_LOSSES, LOSSES["shared_gaussian_nll"]], ids=name_of)
def test_every_closed_form_is_jax_grad_under_every_reduction_mask_and_weight(loss, rng):
    arrays = tuple(x[:4] for x in example(loss))
    mask, some = rng.random((4, 5)) > 0.3, rng.integers(0, 3, 4).astype(np.float32)
    coverings = (
        np.stack([mask | True, mask, mask | True, mask]),
        np.stack([some * 0 + 1, some * 0 + 1, some, some]),
    )

    def both(loss, where, weights):
        given = {"where": where, "weights": weights}
        return analytic_gradient(loss)(*arrays, **given), jax.grad(loss)(*arrays, **given)

    with jax.disable_jit():
        found = [both(x, None, None) for x in all_reductions(loss)[:1]]
        found += [jax.vmap(functools.partial(both, x))(*coverings) for x in all_reductions(loss)]
    for got, expected in found:
        assert (got != 0).any() == (name_of(loss) != "codebook")
        assert abs(got - expected).max() <= 4 * np.spacing(abs(expected).max())


def test_the_closed_form_of_keras_2_2_with_a_mask_and_weights_is_the_textbooks():
    A, Y = np.array([[1, 3], [2, 4]], np.float32), np.zeros((2, 2), np.float32)
    where, weights = np.array([[True, False], [True, True]]), np.array([3, 0], np.float32)
    # 2a · w · m / (numel · mean(m) · mean(w ≠ 0)) = 2a · w · m / (4 · ¾ · ½).
    got = analytic_gradient(KERAS_2_2(squared_error))(A, Y, where=where, weights=weights)
    np.testing.assert_allclose(got, [[4, 0], [0, 0]], rtol=1e-6)


def test_a_slope_near_the_largest_number_is_divided_before_it_is_weighed():
    loss = Loss(binary_cross_entropy_from_probabilities)
    zero, one = np.zeros((4, 1), np.float32), np.ones((4, 1), np.float32)
    weights = np.full(4, 2, np.float32)
    assert np.isfinite(analytic_gradient(loss)(zero, one, weights=weights)).all()


def test_the_closed_form_of_mse_is_the_textbooks(rng):
    A, Y = batch(rng, (100, 90))
    np.testing.assert_allclose(analytic_gradient(mse)(A, Y), 2 * (A - Y) / 9000, rtol=1e-6)


def test_everything_masked_has_a_closed_form_of_zero(rng):
    A, Y = batch(rng)
    assert (analytic_gradient(mse)(A * np.nan, Y, where=np.zeros(4, bool)) == 0).all()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_the_closed_form_has_the_dtype_of_the_predictions(dtype, rng):
    A, Y = batch(rng)
    A = jnp.asarray(A, dtype)
    got, expected = analytic_gradient(mse)(A, Y), jax.grad(mse)(A, Y)
    assert got.dtype == expected.dtype == dtype
    assert (got == expected).mean() > 0.9


def test_mistakes_are_the_losss_own(rng):
    A, Y = batch(rng)
    for of in (analytic_gradient(mse), lambda *a: forward(mse, *a), lambda *a: check(mse, *a)):
        with pytest.raises(ValueError, match="nothing is broadcast"):
            of(A, Y[:, :1])
        with pytest.raises(TypeError, match="prediction has dtype int32, expected a floating"):
            of(A.astype(np.int32), Y)
        with pytest.raises(TypeError, match="got 1 arrays, expected 2: prediction, target"):
            of(A)
        with pytest.raises(
            TypeError, match="prediction has dtype <U1, expected an array of numbers"
        ):
            of(np.array(["A"]), Y)


# Past the type checker of the tests, which refuses them earlier.
check, write_out, go_forward = map(inspect.unwrap, (check_gradient, analytic_gradient, forward))


def test_what_is_no_loss_is_refused(rng):
    A, Y = batch(rng)
    for wrong in (squared_error, lambda A, Y: jnp.mean((A - Y) ** 2), "mse"):
        with pytest.raises(TypeError, match=r"expected a loss; of a plain error make one: Loss\("):
            check(wrong, A, Y)
        with pytest.raises(TypeError, match="expected a Loss: an error that is added and divided"):
            write_out(wrong)
        with pytest.raises(TypeError, match="expected a Loss: an error that is added and divided"):
            go_forward(wrong, A, Y)


def quartic_error(prediction, target):
    return (prediction - target) ** 4


@pytest.mark.parametrize("error", [quartic_error, Scaled(quartic_error, 0.5)])
def test_an_error_without_a_closed_form_is_named_before_anything_is_computed(error, rng):
    named = r"of (0\.5·)?quartic_error; mark it with @closed_form"
    with pytest.raises(ValueError, match=named):
        analytic_gradient(Loss(error))
    with pytest.raises(ValueError, match=named):
        forward(Loss(error))
    assert check_gradient(Loss(error), *batch(rng)).closed_form is None


class MSELoss:
    """The criterion of the NumPy posts: SSE = ι_Nᵀ SE ι_C."""

    def forward(self, A, Y):
        self.A, self.Y = A, Y
        self.N, self.C = A.shape
        squared = (A - Y) * (A - Y)
        return np.ones((1, self.N)) @ squared @ np.ones((self.C, 1)) / (self.N * self.C)

    def backward(self):
        return 2 * (self.A - self.Y) / (self.N * self.C)


def test_the_pair_is_the_numpy_class(rng):
    A, Y = (x.astype(np.float64) for x in batch(rng, (5, 3)))
    with jax.enable_x64(True):
        criterion = MSELoss()
        value, residuals = forward(mse, A, Y)
        assert float(value) == pytest.approx(criterion.forward(A, Y).item(), rel=1e-14)
        np.testing.assert_allclose(backward(residuals), criterion.backward(), rtol=1e-14)


def test_a_cotangent_multiplies(rng):
    _, residuals = forward(sse, *batch(rng))
    np.testing.assert_allclose(backward(residuals, 3.0), 3 * backward(residuals), rtol=1e-6)


def test_a_cotangent_multiplies_before_the_gradient_is_rounded_to_float16():
    A, Y = jnp.full((4, 1), 1e-7, jnp.float16), jnp.zeros((4, 1), jnp.float16)
    _, residuals = forward(sse_per_sample, A, Y)
    expected = 2.0**14 * 2 * A.astype(jnp.float32) / 4
    np.testing.assert_allclose(backward(residuals, 2.0**14), expected, rtol=1e-3)


def test_a_cotangent_that_is_no_scalar_is_refused(rng):
    A, Y = batch(rng)
    _, residuals = forward(mse, A, Y)
    for cotangent in (np.ones_like(A), np.ones(1, np.float32)):
        with pytest.raises(ValueError, match=r"cotangent has shape \(.*\), expected a scalar"):
            backward(residuals, cotangent)


def test_residuals_leave_a_function_that_is_jitted(rng):
    A, Y = batch(rng)
    where, weights = np.array([True, True, False, True]), np.arange(4, dtype=np.float32)

    @jax.jit
    def half_of(A, Y, where, weights):
        return forward(sse_per_sample, A, Y, where=where, weights=weights)

    value, residuals = half_of(A, Y, where, weights)
    assert residuals.loss is sse_per_sample
    assert len(jax.tree.leaves(residuals)) == 4
    expected, gradient = jax.value_and_grad(sse_per_sample)(A, Y, where=where, weights=weights)
    assert value == pytest.approx(float(expected), rel=1e-6)
    np.testing.assert_allclose(jax.jit(backward)(residuals), gradient, rtol=1e-6)
