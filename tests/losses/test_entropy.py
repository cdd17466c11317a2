import hypothesis.extra.numpy as npst
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings, strategies as st
from jax.test_util import check_grads

from jaxae.losses import (
    Loss,
    bce,
    bce_excess,
    bce_excess_from_probabilities,
    bce_floor,
    bce_from_probabilities,
    binary_entropy,
    binary_excess,
    binary_excess_from_probabilities,
    derivative_of,
)

mpmath.mp.dps = 50
entropies = jax.jit(binary_entropy)
excesses = jax.jit(binary_excess)
excesses_from_probabilities = jax.jit(binary_excess_from_probabilities)
COUNTS = ["weight", "valid", "nonzero", "all"]


def targets(rng, n=60):
    """Grey, nearly black and nearly white."""
    y = (rng.random(n), 10 ** -rng.uniform(0, 8, n), 1 - 10 ** -rng.uniform(0, 6, n))
    y = np.concatenate(y).astype(np.float32)
    return y[(y > 0) & (y < 1)]


def xlogx(x):
    return x * mpmath.log(x) if x else mpmath.mpf(0)


def exact_entropy(y):
    y = mpmath.mpf(float(y))
    return float(-xlogx(y) - xlogx(1 - y))


def exact_divergence(p, y):
    y = mpmath.mpf(float(y))
    return float(xlogx(y) + xlogx(1 - y) - y * mpmath.log(p) - (1 - y) * mpmath.log(1 - p))


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-mpmath.mpf(float(z))))


def test_entropy_is_right_to_four_ulp(rng, ulp):
    y = np.append(targets(rng, 500), [0, 1, 0.5]).astype(np.float32)
    expected = np.array([exact_entropy(x) for x in y])
    assert ulp(entropies(y), expected) <= 4


def test_derivative_of_the_entropy_is_right_to_four_ulp(rng, ulp):
    y = targets(rng, 500)
    expected = np.array([mpmath.log((1 - mpmath.mpf(float(x))) / mpmath.mpf(float(x))) for x in y])
    got = jax.jit(jax.vmap(jax.grad(binary_entropy)))(y)
    assert ulp(got, expected.astype(float)) <= 4
    np.testing.assert_array_equal(got, jax.jit(derivative_of(binary_entropy))(y))


def test_certain_targets_have_no_entropy_and_a_finite_slope():
    y = np.float32([0, 1e-40, -1e4, 1, 1e30, 0.5])
    function = jax.vmap(
        lambda y: (jax.value_and_grad(binary_entropy)(y), jax.hessian(binary_entropy)(y))
    )
    (value, slope), curvature = jax.jit(function)(y)
    assert (value[:-1] == 0).all()
    np.testing.assert_allclose(slope[:-1], 87.33655 * np.array([1, 1, 1, -1, -1]), rtol=1e-6)
    assert np.isfinite(curvature).all()
    assert curvature[-1] == -4


def test_excess_is_as_right_as_its_logits_are(rng):
    """An error of three steps of the logits is allowed, which no formula can see beneath."""
    y = targets(rng)
    offset = rng.choice([1e-4, 1e-3, 0.1, 0.9, 1.1, 20.0], y.size)
    odds = y / (1 - y.astype(np.float64))
    z = (np.log(odds) + offset * rng.choice([-1, 1], y.size)).astype(np.float32)
    expected = np.array([exact_divergence(sigmoid(a), b) for a, b in zip(z, y, strict=True)])
    slope = np.array([float(sigmoid(a)) - float(b) for a, b in zip(z, y, strict=True)])
    step = abs(slope) * np.spacing(abs(z)) + np.spacing(expected.astype(np.float32))
    cancelled = np.spacing(np.float32(1)) * np.array([exact_entropy(x) for x in y])
    allowed = 3 * step + 2 * cancelled * (offset >= 1)
    assert (abs(np.asarray(excesses(z, y), np.float64) - expected) <= allowed).all()


def test_excess_beside_one_half_is_an_eighth_of_the_square():
    """At z = 1e-3 it is 1.25e-7, where the difference of two float32 around 0.69 is 0 or 6e-8."""
    z = np.float32([1e-3, -1e-3, 1e-6, 1e-12])
    np.testing.assert_allclose(excesses(z, np.full(4, 0.5, np.float32)), z * z / 8, rtol=2e-7)
    assert binary_excess(jnp.float32(0), jnp.float32(0.5)) == 0


def test_excess_from_probabilities_is_right_to_a_few_ulp(rng):
    y = targets(rng)
    change = rng.choice([1e-7, 1e-5, 1e-3, 0.5, 2.0], y.size)
    p = np.clip(y * (1 + change * rng.choice([-1, 1], y.size)), 1e-30, 1 - 1e-7)
    p = p.astype(np.float32)
    expected = [exact_divergence(mpmath.mpf(float(a)), b) for a, b in zip(p, y, strict=True)]
    np.testing.assert_allclose(excesses_from_probabilities(p, y), expected, rtol=5e-6)


def test_excess_of_the_target_itself_is_exactly_zero(rng):
    y = np.append(targets(rng, 1000), [0, 1]).astype(np.float32)
    assert (excesses_from_probabilities(y, y) == 0).all()
    assert bce_excess_from_probabilities(y[None], y[None]) == 0


logits = st.floats(-(2.0**100), 2.0**100, width=32) | st.floats(-5, 5, width=32)
probabilities = st.floats(0, 1, width=32)


@settings(deadline=None, max_examples=200)
@given(
    npst.arrays(np.float32, 8, elements=logits), npst.arrays(np.float32, 8, elements=probabilities)
)
def test_excess_is_never_negative(z, y):
    assert (excesses(z, y) >= 0).all()
    assert (excesses_from_probabilities(scipy.special.expit(z), y) >= 0).all()


@pytest.mark.parametrize("unit", ["element", "sample", "total"])
@pytest.mark.parametrize("count", COUNTS)
def test_cross_entropy_is_floor_and_excess_under_masks_and_weights(unit, count, rng):
    y = rng.choice([0, 1, 0.2, 0.5, 0.999], (6, 5)).astype(np.float32)
    z = rng.normal(0, 3, y.shape).astype(np.float32)
    p = scipy.special.expit(z)
    covered = {"where": rng.random(y.shape) > 0.4, "weights": np.float32([0, 1, 2, 0.5, 3, 1])}

    def value(loss, *arrays):
        return float(Loss(loss.error, unit, count)(*arrays, **covered))

    floor = value(bce_floor, y)
    assert value(bce, z, y) == pytest.approx(floor + value(bce_excess, z, y), rel=1e-6)
    excess = value(bce_excess_from_probabilities, p, y)
    assert value(bce_from_probabilities, p, y) == pytest.approx(floor + excess, rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "whole"), [(bce_excess, bce), (bce_excess_from_probabilities, bce_from_probabilities)]
)
def test_gradient_is_that_of_cross_entropy_bit_for_bit(loss, whole, rng):
    y = rng.choice([0, 1, 0.2, 0.5], (40, 5)).astype(np.float32)
    z = rng.choice([0, 1, 0.3, 0.2, 1e-6], y.shape).astype(np.float32)
    np.testing.assert_array_equal(jax.grad(loss)(z, y), jax.grad(whole)(z, y))
    assert derivative_of(loss.error) is derivative_of(whole.error)


def test_extremes_are_finite():
    extremes = np.meshgrid([0.0, 1e4, -1e4, 1e30, -1e30, 1e-40], [0.0, 1.0, 0.5, 1e-40])
    z, y = (np.float32(x.ravel()) for x in extremes)
    for error, x in (
        (binary_excess, z),
        (binary_excess_from_probabilities, scipy.special.expit(z)),
    ):
        got = jax.jit(jax.vmap(jax.value_and_grad(error, argnums=(0, 1))))(x, y)
        assert all(np.isfinite(each).all() for each in jax.tree.leaves(got))
    assert np.isfinite(jax.jit(jax.vmap(jax.hessian(binary_excess)))(z, y)).all()


def test_derivatives_agree_with_differences_to_second_order():
    def both(x, y):
        return binary_excess(x, y) + 2 * binary_excess_from_probabilities(x, y)

    with jax.enable_x64(True):
        x, y = jnp.array([0.4, 0.2, 0.9, 0.6]), jnp.array([0.5, 0.6, 0.2, 0.61])
        check_grads(jax.jit(both), (x, y), order=2, modes=("fwd", "rev"), rtol=1e-3)


def test_float64_keeps_its_digits():
    with jax.enable_x64(True):
        y = jnp.array([0.3, 0.5, 1e-6])
        z = jnp.log(y / (1 - y)) + jnp.array([0.9, 1e-3, -0.5])
        expected = [exact_divergence(sigmoid(a), b) for a, b in zip(z, y, strict=True)]
        np.testing.assert_allclose(jax.jit(binary_excess)(z, y), expected, rtol=1e-11)


def test_floor_of_mnist(mnist_dir):
    """The floor that ../shared/data/mnist/README.md gives for the test images: 0.05808 nats."""
    from jaxae.data import load

    test = load("mnist", mnist_dir).test
    assert bce_floor(test) == pytest.approx(0.05808, abs=5e-6)


def test_the_floor_takes_floating_targets_only():
    with pytest.raises(TypeError, match="target has dtype uint8, expected a floating dtype"):
        bce_floor(np.zeros((2, 3), np.uint8))
