"""Gradients written out, against `jax.grad`, NumPy and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    Loss,
    absolute_error,
    analytic_gradient,
    backward,
    bce,
    binary_cross_entropy,
    check_gradient,
    closed_form,
    forward,
    mse,
    squared_error,
    sse,
)

COUNTS = ["weight", "valid", "nonzero", "all"]


def batch(rng, shape=(4, 3, 2)):
    return rng.normal(size=shape).astype(np.float32), rng.random(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("error", "unit", "count"),
    [
        *((squared_error, "element", count) for count in COUNTS),
        *((absolute_error, "sample", count) for count in COUNTS),
        (binary_cross_entropy, "total", "weight"),
    ],
)
def test_the_closed_form_is_jax_grad_under_every_reduction(error, unit, count, rng):
    loss, (A, Y) = Loss(error, unit, count), batch(rng)
    where, weights = rng.random((4, 3)) > 0.3, rng.integers(0, 3, 4).astype(np.float32)
    A[~where] = np.nan
    arguments = {"where": where, "weights": weights}
    got = analytic_gradient(loss)(A, Y, **arguments)
    np.testing.assert_allclose(got, jax.grad(loss)(A, Y, **arguments), rtol=1e-6, atol=1e-9)
    assert (got[~where] == 0).all()


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
    with pytest.raises(ValueError, match="nothing is broadcast"):
        analytic_gradient(mse)(A, Y[:, :1])


def test_an_error_without_a_closed_form_is_named():
    def quartic_error(prediction, target):
        return (prediction - target) ** 4

    with pytest.raises(ValueError, match=r"quartic_error; mark it with @closed_form"):
        analytic_gradient(Loss(quartic_error))


def test_a_report_finds_a_wrong_closed_form(rng):
    @closed_form(lambda prediction, target: prediction - target)  # the factor 2 is missing
    def wrong(prediction, target):
        return (prediction - target) ** 2

    report = check_gradient(Loss(wrong), *batch(rng))
    assert report.closed_form.ulp > 1e6
    assert report.closed_form.absolute > 0.01
    assert report.central_differences.ulp < 64


def test_a_report_finds_a_wrong_derivative(rng):
    @jax.custom_jvp
    def wrong(prediction, target):
        return (prediction - target) ** 2

    @wrong.defjvp
    def _(primals, tangents):
        return wrong(*primals), (primals[0] - primals[1]) * tangents[0]

    report = check_gradient(Loss(lambda prediction, target: wrong(prediction, target)), *batch(rng))
    assert report.closed_form is None
    assert report.central_differences.ulp > 1e6


def test_a_report_covers_masks_and_as_many_points_as_asked(rng):
    A, Y = batch(rng, (20, 9))
    where = rng.random((20, 9)) > 0.5
    # At grey targets the slope cancels to a few digits, in which the two forms differ.
    report = check_gradient(bce, A, (Y > 0.5).astype(np.float32), where=where, points=50)
    assert (report.points, report.shape, report.dtype) == (50, (20, 9), "float32")
    assert report.closed_form.ulp <= 4
    assert report.central_differences.absolute < 1e-7


def test_a_printed_report_is_a_small_table(rng):
    lines = str(check_gradient(mse, *batch(rng))).splitlines()
    assert lines[0] == "jax.grad of mse, 4×3×2 float32"
    assert [line[:19].strip() for line in lines[1:4]] == [
        "differs from",
        "closed form",
        "central differences",
    ]


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
