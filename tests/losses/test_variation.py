import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import (
    GradientDifference,
    Loss,
    TotalVariation,
    gradient_difference,
    total_variation,
)


def variation(x, axes=(0, 1)):
    return sum(np.sum(np.abs(np.diff(np.asarray(x, np.float64), axis=axis))) for axis in axes)


def difference(p, y, power, axes=(0, 1)):
    sizes = [
        [np.abs(np.diff(np.asarray(x, np.float64), axis=axis)) for x in (p, y)] for axis in axes
    ]
    return sum(np.sum(np.abs(a - b) ** power) for a, b in sizes)


@pytest.mark.parametrize(
    ("axes", "shape"), [((0, 1), (4, 5)), ((0, 1), (4, 5, 3)), ((0,), (7,)), ((1,), (4, 5))]
)
def test_both_are_their_formulas(axes, shape, rng):
    p, y = rng.normal(size=(2, *shape)).astype(np.float32)
    powers = (1, 2, 3)
    both = jax.jit(
        lambda p, y: (TotalVariation(axes)(p), [GradientDifference(n, axes)(p, y) for n in powers])
    )
    total, differences = both(p, y)
    assert total == pytest.approx(variation(p, axes), rel=1e-6)
    for power, got in zip(powers, differences, strict=True):
        assert got == pytest.approx(difference(p, y, power, axes), rel=1e-5)


def test_the_gradient_of_total_variation_counts_signs():
    gradient = jax.grad(TotalVariation(axes=(0,)))(jnp.array([0.0, 1.0, 1.0, 3.0, 2.0]))
    assert gradient.tolist() == [-1, 1, -1, 2, -1]


@pytest.mark.parametrize("power", [1, 3])
def test_kinks_have_no_gradient(power, rng):
    error = jax.jit(jax.value_and_grad(GradientDifference(power)))
    flat, rough = np.ones((4, 5), np.float32), rng.normal(size=(4, 5)).astype(np.float32)
    for p, y in ((flat, flat), (flat, rough), (rough, rough), (rough, -rough)):
        value, gradient = error(p, y)
        assert (value == 0) == (y is not rough or p is rough)
        assert (gradient == 0).all()
    assert (jax.grad(TotalVariation())(jnp.asarray(flat)) == 0).all()


def test_an_offset_costs_nothing(rng):
    y = rng.integers(0, 9, (4, 5)).astype(np.float32)
    error = GradientDifference()
    assert error(jnp.asarray(y + 7), jnp.asarray(y)) == 0


def test_batches_are_averaged_over_samples(rng):
    P, Y = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    each = [variation(p) for p in P]
    np.testing.assert_allclose(total_variation.per_sample(P), each, rtol=1e-6)
    where = np.array([True, False, True])
    assert total_variation(P, where=where) == pytest.approx((each[0] + each[2]) / 2, rel=1e-6)
    each = [difference(p, y, 1) for p, y in zip(P, Y, strict=True)]
    assert gradient_difference(P, Y) == pytest.approx(np.mean(each), rel=1e-6)


def test_derivatives_agree_with_finite_differences_to_second_order(rng):
    with jax.enable_x64(True):
        p, y = rng.normal(size=(2, 3, 4))
        check_grads(jax.jit(TotalVariation()), (p,), order=1, modes=["fwd"])
        for power in (1, 3):
            check_grads(jax.jit(GradientDifference(power)), (p, y), order=2, modes=["fwd"])


def test_extremes_are_never_nan(rng):
    y = rng.normal(size=(3, 4)).astype(np.float32)
    variation_of = jax.jit(jax.value_and_grad(TotalVariation()))
    powers = {n: jax.jit(jax.value_and_grad(GradientDifference(n))) for n in (1, 2, 3)}
    for number in np.float32([1e4, -1e4, 1e30, -1e30, 1e-40, 0.0]):
        p = np.where(np.arange(4) == 1, number, y)
        value, gradient = variation_of(p)
        assert value == pytest.approx(variation(p), rel=1e-6)
        assert np.isfinite(gradient).all()
        for power, error in powers.items():
            for pair in ((p, y), (y, p), (p, p)):
                value, gradient = error(*pair)
                with np.errstate(over="ignore"):
                    expected = np.float32(difference(*pair, power))
                assert value == pytest.approx(expected, rel=1e-5)
                assert np.isfinite(gradient).all()


@pytest.mark.parametrize("error", [TotalVariation, GradientDifference])
def test_bad_axes_are_refused(error):
    for axes, message in (
        ((), "axes is empty"),
        ((-1,), "an axis is -1, expected a whole number of at least 0"),
        ((0, 0), "expected each axis of a sample once"),
    ):
        with pytest.raises(ValueError, match=message):
            error(axes=axes)


def test_a_list_of_axes_gives_an_equal_error():
    error = TotalVariation()
    object.__setattr__(error, "axes", [0, 1])  # the tests' type checker refuses it earlier
    error.__post_init__()
    assert error == TotalVariation()
    assert hash(error) == hash(TotalVariation())


def test_a_power_that_is_not_whole_or_below_one_is_refused():
    with pytest.raises(ValueError, match="power is 0, expected a whole number of at least 1"):
        GradientDifference(0)
    error = GradientDifference()
    object.__setattr__(error, "power", 1.5)
    with pytest.raises(ValueError, match=r"power is 1\.5, expected a whole number"):
        error.__post_init__()


def test_a_sample_without_the_axes_is_refused():
    with pytest.raises(ValueError, match=r"\(784,\), expected 2 axes or more .* pass axes=\(0,\)"):
        total_variation(jnp.zeros((2, 784)))
    with pytest.raises(ValueError, match="expected 3 axes or more"):
        Loss(GradientDifference(axes=(0, 2)))(jnp.zeros((2, 4, 4)), jnp.zeros((2, 4, 4)))
