"""Reports of gradients: what they compare, find, refuse and print."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    FeatureMeans,
    HuberError,
    Loss,
    bce,
    check_gradient,
    closed_form,
    gaussian_kl_between,
    mse,
    squared_error,
)
from jaxae.losses.conventions import KERAS_2_2

# Past the type checker of the tests, which refuses mistakes earlier.
check = inspect.unwrap(check_gradient)


def batch(rng, shape=(4, 3, 2)):
    return rng.normal(size=shape).astype(np.float32), rng.random(shape).astype(np.float32)


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


def test_a_report_without_compilation_is_the_same(rng):
    arrays = batch(rng)
    compiled = check_gradient(mse, *arrays, points=2)
    with jax.disable_jit():
        eager = check_gradient(mse, *arrays, points=2)
    assert eager.closed_form == compiled.closed_form
    assert eager.points == compiled.points == 2


def test_a_report_of_nothing_is_refused(rng):
    A, Y = batch(rng, (0, 5))
    with pytest.raises(ValueError, match=r"logits has shape \(0, 5\): there is nothing to compare"):
        check_gradient(bce, A, Y)
    with pytest.raises(ValueError, match="points is 0, expected a whole number of at least 1"):
        check_gradient(mse, *batch(rng), points=0)


def test_a_report_is_by_any_argument_that_is_floating(rng):
    A, Y = batch(rng)
    report = check_gradient(bce, A, Y, argument=1)
    assert report.closed_form is None
    assert report.central_differences.absolute < 1e-7
    assert str(report).startswith("jax.grad of bce by target, 4×3×2 float32")
    prior = check_gradient(gaussian_kl_between, A, Y, 2 * A, -Y, argument=3, points=5)
    assert prior.name == "gaussian_kl_between by other_log_variance"
    assert prior.central_differences.absolute < 1e-6


def test_a_wrong_derivative_by_the_target_is_found(rng):
    @jax.custom_jvp
    def wrong(prediction, target):
        return (prediction - target) ** 2

    @wrong.defjvp
    def _(primals, tangents):
        return wrong(*primals), 2 * (primals[0] - primals[1]) * (tangents[0] + tangents[1])

    loss = Loss(lambda prediction, target: wrong(prediction, target))
    assert check_gradient(loss, *batch(rng)).central_differences.absolute < 1e-7
    assert check_gradient(loss, *batch(rng), argument=1).central_differences.absolute > 0.01


def test_a_report_by_what_has_no_gradient_is_refused(rng):
    A, Y = batch(rng)
    for argument in (2, -1, "target"):
        with pytest.raises(ValueError, match=f"argument is {argument!r}, expected one of 0, 1"):
            check(mse, A, Y, argument=argument)
    with pytest.raises(TypeError, match="target has dtype int32, expected a floating dtype for a"):
        check_gradient(mse, A, Y.astype(np.int32), argument=1)


def test_a_printed_report_is_a_small_table(rng):
    lines = str(check_gradient(mse, *batch(rng))).splitlines()
    assert lines[0] == "jax.grad of mse, 4×3×2 float32"
    assert [line[:19].strip() for line in lines[1:4]] == [
        "differs from",
        "closed form",
        "central differences",
    ]


def largest(means, present):
    return jnp.max(means, where=present, initial=0)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (FeatureMeans(squared_error, largest), "FeatureMeans(squared_error, largest, count='we"),
        (Loss(HuberError(0.5), "sample"), "Loss(HuberError(delta=0.5), unit='sample', count='we"),
        (KERAS_2_2(squared_error), "Keras22Loss(squared_error)"),
    ],
)
def test_a_loss_without_a_name_is_called_what_it_prints_as(loss, name, rng):
    report = check_gradient(loss, *batch(rng), points=1)
    assert report.name.startswith(name)
    assert str(report).startswith(f"jax.grad of {name}")
