import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.test_util import check_grads

from jaxae.losses import (
    ClippedCategoricalCrossEntropy,
    ClippedCategoricalCrossEntropyFromClasses,
    cce,
    cce_from_probabilities,
    cce_from_probabilities_and_classes,
)

SOFT, HARD = ClippedCategoricalCrossEntropy(), ClippedCategoricalCrossEntropyFromClasses()
EXTREMES = np.float32([0, 1, -1e30, 1e30, -1e4, 1e4, 1e-40, 1e-38])


def batch(rng, events=12, classes=4):
    """Numbers that are not negative, probabilities and classes."""
    p = rng.uniform(0.1, 3, (events, classes)).astype(np.float32)
    y = scipy.special.softmax(rng.normal(size=p.shape), -1).astype(np.float32)
    return p, y, rng.integers(0, classes, events)


def test_values_and_derivatives_are_their_formulas(rng):
    p, y, c = batch(rng)
    total = p.sum(-1, keepdims=True, dtype=np.float64)
    for error, target, soft in ((SOFT, y, y), (HARD, c, np.eye(4)[c])):
        each = jax.jit(jax.vmap(jax.value_and_grad(error)))
        value, gradient = each(p, target)
        np.testing.assert_allclose(value, -(soft * np.log(p / total)).sum(-1), rtol=1e-6)
        slope = soft.sum(-1, keepdims=True) / total - soft / p
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(jax.jit(error.derivative)(p, target), gradient, rtol=1e-6)


def test_clips_are_those_of_keras():
    """Keras 3.15.1: categorical_crossentropy and sparse_categorical_crossentropy, float32."""
    p = np.float32([[0.2, 0.6, 0], [0, 1, 0], [0, 1, 0], [0.05, 0.95, 0]])
    keras = [0.28768208622932434, 16.118095397949219, 1.1920928955078125e-07, 2.995732307434082]
    c = np.array([1, 0, 1, 0])
    y = np.eye(3, dtype=np.float32)[c]
    np.testing.assert_allclose(jax.jit(SOFT)(p, y), keras, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(HARD)(p, c), keras, rtol=1e-6)
    loss = cce_from_probabilities(p, y)
    assert loss == cce_from_probabilities_and_classes(p, c) == pytest.approx(np.mean(keras))


def test_of_a_softmax_it_is_that_of_logits(rng):
    z, y = rng.normal(size=(2, 6, 4)).astype(np.float32)
    y = scipy.special.softmax(y, -1)
    value, gradient = jax.value_and_grad(lambda z: cce_from_probabilities(jax.nn.softmax(z), y))(z)
    expected, slope = jax.value_and_grad(cce)(z, y)
    assert value == pytest.approx(float(expected), rel=1e-6)
    np.testing.assert_allclose(gradient, slope, rtol=1e-4, atol=1e-7)


def test_the_derivative_of_a_class_that_is_nearly_certain_keeps_its_digits():
    """1/Σp − 1/p_c = −(Σp − p_c)/(p_c Σp)."""
    p = jnp.array([1 / 3, 1e-5, 1e-6])
    expected = -(1.1e-5) / (p[0] * (p[0] + 1.1e-5))
    slope = SOFT.derivative(p, jnp.array([1.0, 0.0, 0.0]))[0]
    assert float(slope) == pytest.approx(float(expected), rel=1e-2)


@pytest.mark.parametrize("error", [SOFT, HARD, ClippedCategoricalCrossEntropy(1e-40)])
def test_extremes_are_finite_to_second_order(error):
    p = np.stack([x.ravel() for x in np.meshgrid(*[EXTREMES] * 3)], -1)
    target = jnp.array(0) if error is HARD else jnp.array([1.0, 0.0, 0.0])

    @jax.jit
    @jax.vmap
    def orders(p):
        return *jax.value_and_grad(error)(p, target), jax.hessian(error)(p, target)

    value, slope, curvature = orders(p)
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()
    usual = abs(p.sum(-1)) > 1e-3
    assert np.isfinite(curvature[usual]).all()
    nothing = (p == 0).all(-1)
    np.testing.assert_allclose(value[nothing], 16.118095 if error.epsilon == 1e-7 else 43.7, 1e-2)
    assert (slope[nothing] == 0).all()
    assert (curvature[nothing] == 0).all()


def test_a_class_that_does_not_exist_is_loud():
    p = np.full((2, 4), 0.25, np.float32)
    function = jax.jit(jax.value_and_grad(cce_from_probabilities_and_classes))
    for c in (-1, 4, 1000, -5):
        value, gradient = function(p, np.array([0, c]))
        assert np.isnan(value)
        assert np.isnan(gradient[1]).all()
        assert not np.isnan(gradient[0]).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_bytes_name_classes(dtype, rng):
    p, c = rng.random((5, 256)).astype(np.float32), rng.integers(0, 127, 5)
    function = jax.jit(HARD)
    assert (function(p, c.astype(dtype)) == function(p, c)).all()


def test_derivatives_agree_with_differences_to_second_order(rng):
    p, y, c = batch(rng, 3, 4)
    smooth = ClippedCategoricalCrossEntropy(label_smoothing=0.1)

    def both(p, y):
        return smooth(p, y) + 2 * HARD(p, jnp.asarray(c))

    with jax.enable_x64(True):
        check_grads(jax.jit(both), (p.astype(float), y.astype(float)), 2, ("fwd", "rev"))


@pytest.mark.parametrize("error", [type(SOFT), type(HARD)])
def test_an_epsilon_without_meaning_is_refused(error):
    for epsilon in (0.0, 0.5):
        with pytest.raises(ValueError, match=r"epsilon is .*, expected a number above 0 and below"):
            error(epsilon)


def test_numbers_whose_sum_overflows_have_shares_of_0():
    p, y = jnp.full((1, 3), 3e38), jnp.array([[0.0, 1.0, 0.0]])
    for error, target in (
        (ClippedCategoricalCrossEntropy(), y),
        (ClippedCategoricalCrossEntropyFromClasses(), jnp.array([1])),
    ):
        value, gradient = jax.jit(jax.value_and_grad(lambda p, e=error, t=target: e(p, t).sum()))(p)
        assert float(value) == pytest.approx(-np.log(1e-7), rel=1e-6)
        assert float(error(p, target)[0]) == pytest.approx(float(value), rel=1e-6)
        assert not gradient.any()
