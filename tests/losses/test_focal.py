import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
import scipy.special
from jax.test_util import check_grads

from jaxae.losses import (
    FocalError,
    Loss,
    bce,
    bernoulli,
    binary_cross_entropy,
    derivative_of,
    focal,
    link_of,
)

EXTREMES = [1e4, -1e4, 1e30, -1e30, 1e-40, 0.0, 104.0, -50.0]


def exact(z, y, gamma, alpha, smoothing=0):
    """The formula in 50 digits."""
    a1, a0 = (1, 1) if alpha is None else (alpha, 1 - mpmath.mpf(alpha))
    with mpmath.workdps(50):
        p, q = (1 / (1 + mpmath.exp(s * mpmath.mpf(float(z)))) for s in (-1, 1))
        y = mpmath.mpf(float(y)) * (1 - mpmath.mpf(smoothing)) + mpmath.mpf(smoothing) / 2
        positive, negative = y * a1, (1 - y) * a0
        parts = -positive * q**gamma * mpmath.log(p), -negative * p**gamma * mpmath.log(q)
        slopes = (
            negative * p**gamma * (p - gamma * q * mpmath.log(q)),
            -positive * q**gamma * (q - gamma * p * mpmath.log(p)),
        )
        return float(sum(parts)), float(sum(slopes)), float(max(slopes[0], -slopes[1]))


def grid(rng):
    logits = np.concatenate([rng.uniform(-40, 40, 40), rng.normal(0, 1, 40), [0.0, 1e-3]])
    z, y = (x.ravel() for x in np.meshgrid(logits, [0, 1, 0.3]))
    return jnp.asarray(z, jnp.float32), jnp.asarray(y, jnp.float32)


@pytest.mark.parametrize(
    "hyperparameters", [(2.0, None), (2.0, 0.25), (0.5, 0.25, 0.1), (5.0, None)]
)
def test_value_and_derivative_are_right_to_a_few_ulp_for_each_power(hyperparameters, rng, ulp):
    z, y = grid(rng)
    error = FocalError(*hyperparameters)
    bound = 5 * (1 + error.gamma)
    pairs = zip(z.tolist(), y.tolist(), strict=True)
    expected, slopes, larger = np.array([exact(*pair, *hyperparameters) for pair in pairs]).T
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(z, y)
    assert ulp(value, expected) <= bound
    assert ulp(gradient, slopes, larger) <= bound
    assert ulp(jax.jit(error.derivative)(z, y), slopes, larger) <= bound


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (1.5, 0.25)])
def test_for_certain_targets_it_is_that_of_optax(gamma, alpha, rng):
    z = jnp.asarray(rng.normal(0, 4, 500), jnp.float32)
    y = jnp.asarray(rng.integers(0, 2, 500), jnp.float32)
    theirs = jax.jit(functools.partial(optax.sigmoid_focal_loss, alpha=alpha, gamma=gamma))(z, y)
    np.testing.assert_allclose(FocalError(gamma, alpha)(z, y), theirs, rtol=3e-5)


@pytest.mark.parametrize(
    ("gamma", "alpha", "keras"),
    [
        (2.0, None, [1.650078296661377, 0.3774116337299347, 0.00010928327537840232]),
        (2.0, 0.25, [0.41251957416534424, 0.2830587327480316, 2.732081884460058e-05]),
        (0.5, 0.25, [0.49903470277786255, 0.5763815641403198, 0.002645274857059121]),
    ],
)
def test_for_certain_targets_it_is_that_of_keras(gamma, alpha, keras):
    """Keras 3.15.1: BinaryFocalCrossentropy(from_logits=True, apply_class_balancing=True)."""
    z, y = jnp.array([-2.0, 0.5, 3.0]), jnp.array([1.0, 0.0, 1.0])
    np.testing.assert_allclose(FocalError(gamma, alpha)(z, y), keras, rtol=1e-5)


def test_without_focus_it_is_binary_cross_entropy(rng, ulp):
    z = jnp.asarray(rng.normal(0, 10, 2000), jnp.float32)
    y = jnp.asarray(rng.random(2000), jnp.float32)
    error = FocalError(gamma=0.0)
    expected = np.asarray(jax.jit(binary_cross_entropy)(z, y), float)
    assert ulp(jax.jit(error)(z, y), expected) <= 3
    larger = np.maximum(scipy.special.expit(z), scipy.special.expit(-z))
    slope = np.asarray(jax.jit(derivative_of(binary_cross_entropy))(z, y), float)
    assert ulp(jax.jit(error.derivative)(z, y), slope, larger) <= 2


@pytest.mark.parametrize("error", [FocalError(), FocalError(0.0), FocalError(0.5, 0.25)])
def test_extreme_logits_are_finite_to_second_order(error):
    z, y = (np.float32(x.ravel()) for x in np.meshgrid(EXTREMES, [0.0, 1.0, 0.3]))

    @jax.jit
    @jax.vmap
    def orders(z, y):
        value, slopes = jax.value_and_grad(error, argnums=(0, 1))(z, y)
        return value, slopes, jax.hessian(error)(z, y)

    value, *derivatives = orders(z, y)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(derivatives))
    expected = [exact(*pair, error.gamma, error.alpha)[0] for pair in zip(z, y, strict=True)]
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-37)


def test_derivatives_agree_with_differences_to_second_order():
    with jax.enable_x64(True):
        z, y = (jnp.asarray(x.ravel()) for x in np.meshgrid([-2.0, 0.0, 3.0], [0.0, 0.3, 1.0]))
        check_grads(jax.jit(FocalError(1.5, 0.25)), (z, y), order=2, modes=("fwd", "rev"))


def test_alpha_is_a_weight_of_positives(rng):
    """With α = w/(1 + w), 1 + w times the error is that of weights w and 1."""
    z = jnp.asarray(rng.normal(0, 4, 200), jnp.float32)
    y = jnp.asarray(rng.integers(0, 2, 200), jnp.float32)
    weighted = 4 * jax.jit(FocalError(alpha=0.75))(z, y)
    plain = np.asarray(jax.jit(FocalError())(z, y))
    np.testing.assert_allclose(weighted, np.where(y == 1, 3, 1) * plain, rtol=1e-6)


def test_ready_made_loss_is_its_mean_and_reads_logits(rng):
    z, y = rng.normal(size=(3, 5)).astype(np.float32), np.ones((3, 5), np.float32)
    assert focal(z, y) == pytest.approx(float(FocalError()(jnp.asarray(z), jnp.asarray(y)).mean()))
    assert link_of(FocalError(3.0)) is bernoulli.link
    assert Loss(FocalError(0.0))(z, y) == pytest.approx(float(bce(z, y)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": -1.0}, r"gamma is -1\.0, expected a finite number, 0 or more"),
        ({"gamma": float("nan")}, "gamma is nan"),
        ({"gamma": float("inf")}, "gamma is inf"),
        ({"alpha": 1.5}, r"alpha is 1\.5, expected a number from 0 to 1"),
        ({"label_smoothing": -0.5}, r"label_smoothing is -0\.5, expected a number from 0 to 1"),
    ],
)
def test_hyperparameters_without_meaning_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FocalError(**arguments)
