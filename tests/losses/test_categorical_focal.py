import jax
import mpmath
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import (
    CategoricalCrossEntropy,
    CategoricalFocalError,
    ClippedCategoricalCrossEntropy,
    ClippedCategoricalFocalError,
    FocalError,
    Loss,
)

ALPHA = (0.5, 2.0, 1.0)
EXTREMES = np.float32([0, 1e4, -1e4, 1e30, -1e30, 1e-40, 30, 104])


def exact(z, y, gamma, alpha):
    """The formula in 50 digits, its derivative, and the larger of that one's two parts."""
    with mpmath.workdps(50):
        exps = [mpmath.exp(mpmath.mpf(float(x))) for x in z]
        p = [x / sum(exps) for x in exps]
        weights = [
            mpmath.mpf(float(a)) * mpmath.mpf(float(b)) for a, b in zip(alpha, y, strict=True)
        ]
        terms = list(zip(weights, p, strict=True))
        value = -sum(w * (1 - q) ** gamma * mpmath.log(q) for w, q in terms)
        costs = [w * (1 - q) ** gamma * (1 - gamma * q * mpmath.log(q) / (1 - q)) for w, q in terms]
        parts = [(q * (sum(costs) - c), (1 - q) * c) for q, c in zip(p, costs, strict=True)]
    slopes = [float(a - b) for a, b in parts]
    return float(value), slopes, [float(max(x)) for x in parts]


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, (1.0, 1.0, 1.0)), (0.5, ALPHA)])
def test_value_and_derivative_are_right_to_a_few_ulp(gamma, alpha, rng, ulp):
    """Also where a class is so likely that its probability rounds to 1."""
    z = np.concatenate([rng.normal(0, s, (20, 3)) for s in (1, 10, 40)]).astype(np.float32)
    y = np.concatenate([np.eye(3)[rng.integers(0, 3, 30)], rng.dirichlet([1, 1, 1], 30)])
    y = y.astype(np.float32)
    error = CategoricalFocalError(gamma, alpha)
    rows = [exact(*row, gamma, alpha) for row in zip(z, y, strict=True)]
    values, slopes, larger = (np.array(x) for x in zip(*rows, strict=True))
    got, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(z, y)
    assert ulp(got, values) <= 40
    assert ulp(gradient, slopes, larger) <= 40
    assert ulp(jax.jit(error.derivative)(z, y), slopes, larger) <= 40


def test_without_focus_they_are_cross_entropy(rng):
    z, y = rng.normal(size=(6, 4)).astype(np.float32), rng.dirichlet(np.ones(4), 6)
    p, y = np.exp(z), y.astype(np.float32)
    for focal, plain, x in (
        (CategoricalFocalError(0.0, label_smoothing=0.1), CategoricalCrossEntropy(0.1), z),
        (
            ClippedCategoricalFocalError(0.0, label_smoothing=0.1),
            ClippedCategoricalCrossEntropy(label_smoothing=0.1),
            p,
        ),
    ):
        np.testing.assert_allclose(jax.jit(focal)(x, y), jax.jit(plain)(x, y), rtol=1e-6)
        expected = jax.jit(plain.derivative)(x, y)
        got = jax.jit(focal.derivative)(x, y)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_of_two_classes_it_is_the_binary_one(rng):
    z, y = rng.normal(0, 5, 20).astype(np.float32), rng.integers(0, 2, 20)
    both = np.stack([np.zeros_like(z), z], -1)
    got = jax.jit(CategoricalFocalError(2.0, (0.75, 0.25)))(both, np.eye(2, dtype=np.float32)[y])
    expected = jax.jit(FocalError(2.0, 0.25))(z, y.astype(np.float32))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-30)


def test_from_probabilities_it_is_that_of_keras():
    """Keras 3.15.1: the example of categorical_focal_crossentropy, whose alpha is 0.25."""
    p = np.float32([[0.05, 0.9, 0.05], [0.1, 0.85, 0.05]])
    y = np.eye(3, dtype=np.float32)[[1, 2]]
    keras = [2.63401289e-04, 6.75912094e-01]
    got = jax.jit(ClippedCategoricalFocalError())(p, y)
    np.testing.assert_allclose(0.25 * got, keras, rtol=1e-5)


@pytest.mark.parametrize(
    "error", [CategoricalFocalError(), CategoricalFocalError(0.5), ClippedCategoricalFocalError()]
)
def test_extremes_are_finite_to_second_order(error):
    x = np.stack([x.ravel() for x in np.meshgrid(*[EXTREMES] * 3)], -1)
    if isinstance(error, ClippedCategoricalFocalError):
        x = x[abs(x.sum(-1)) > 1e-3]  # elsewhere curvatures overflow
    y = np.float32([[1, 0, 0], [0.25, 0.25, 0.5]])

    @jax.jit
    def orders(x, y):
        function = jax.vmap(jax.vmap(error, (0, None)), (None, 0))
        slopes = jax.vmap(jax.vmap(jax.grad(error), (0, None)), (None, 0))
        curvatures = jax.vmap(jax.vmap(jax.hessian(error), (0, None)), (None, 0))
        return function(x, y), slopes(x, y), curvatures(x, y)

    assert all(np.isfinite(order).all() for order in orders(x, y))


def test_a_class_that_is_ruled_out_and_absent_adds_nothing():
    z, y = np.float32([0, 0, -np.inf]), np.float32([1, 0, 0])
    value, slope = jax.jit(jax.value_and_grad(CategoricalFocalError()))(z, y)
    assert value == pytest.approx(0.25 * np.log(2))
    assert np.isfinite(slope).all()


def test_derivatives_agree_with_differences_to_second_order(rng):
    """Where two classes are equally likely, too."""
    with jax.enable_x64(True):
        z = np.concatenate([np.zeros((2, 3)), rng.normal(size=(2, 3))])
        y = rng.dirichlet([1, 1, 1], 4)

        def both(z, y):
            clipped = ClippedCategoricalFocalError(1.5)(2 + z / 4, y)
            return CategoricalFocalError(2.0, ALPHA, 0.1)(z, y) + clipped

        check_grads(jax.jit(both), (z, y), 2, ("fwd", "rev"), rtol=1e-4)


def test_weights_that_are_not_one_for_each_class_are_refused():
    zeros = np.zeros((2, 3), np.float32)
    for alpha in ((1.0, 2.0), (1.0,)):
        with pytest.raises(ValueError, match=f"alpha has {len(alpha)} weights, .* 3 classes"):
            Loss(CategoricalFocalError(alpha=alpha))(zeros, zeros)


def test_hyperparameters_without_meaning_are_refused():
    for wrong, message in (
        ({"gamma": -1.0}, r"gamma is -1\.0, expected a finite number, 0 or more"),
        ({"alpha": (1.0, -1.0)}, r"alpha is -1\.0, expected a finite number, 0 or more"),
        ({"label_smoothing": 2.0}, r"label_smoothing is 2\.0, expected a number from 0 to 1"),
    ):
        for error in (CategoricalFocalError, ClippedCategoricalFocalError):
            with pytest.raises(ValueError, match=message):
                error(**wrong)
    with pytest.raises(ValueError, match="epsilon is"):
        ClippedCategoricalFocalError(epsilon=0.0)
