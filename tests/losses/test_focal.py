import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from jaxae.losses import (
    FocalError,
    Loss,
    bce,
    binary_cross_entropy,
    derivative_of,
    focal,
    link_of,
)

EXTREMES = [1e4, -1e4, 1e30, -1e30, 1e-40, 0.0, 104.0, -50.0]


def exact(z, y, gamma, alpha):
    """The formula in 50 digits."""
    a1, a0 = (1, 1) if alpha is None else (alpha, 1 - mpmath.mpf(alpha))
    with mpmath.workdps(50):
        p, q = (1 / (1 + mpmath.exp(s * mpmath.mpf(float(z)))) for s in (-1, 1))
        positive, negative = mpmath.mpf(float(y)) * a1, (1 - mpmath.mpf(float(y))) * a0
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


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (2.0, 0.25), (0.5, 0.25), (5.0, None)])
def test_value_and_derivative_are_right_to_a_few_ulp_for_each_power(gamma, alpha, rng, ulp):
    z, y = grid(rng)
    bound = 5 * (1 + gamma)
    error = FocalError(gamma, alpha)
    expected, slopes, larger = np.array(
        [exact(*pair, gamma, alpha) for pair in zip(z, y, strict=True)]
    ).T
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(error)))(z, y)
    assert ulp(value, expected) <= bound
    assert ulp(gradient, slopes, larger) <= bound
    assert ulp(error.derivative(z, y), slopes, larger) <= bound


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (1.5, 0.25)])
def test_for_certain_targets_it_is_that_of_optax(gamma, alpha, rng):
    z = jnp.asarray(rng.normal(0, 4, 500), jnp.float32)
    y = jnp.asarray(rng.integers(0, 2, 500), jnp.float32)
    theirs = optax.sigmoid_focal_loss(z, y, alpha=alpha, gamma=gamma)
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
    np.testing.assert_array_equal(error(z, y), binary_cross_entropy(z, y))
    p, q = jax.nn.sigmoid(z), jax.nn.sigmoid(-z)
    slope = derivative_of(binary_cross_entropy)(z, y)
    assert ulp(error.derivative(z, y), np.asarray(slope, float), np.maximum(p, q)) <= 2


@pytest.mark.parametrize("z", EXTREMES)
@pytest.mark.parametrize("error", [FocalError(), FocalError(0.0), FocalError(0.5, 0.25)])
def test_extreme_logits_are_finite_to_second_order(z, error):
    z = jnp.full(3, z, jnp.float32)
    y = jnp.array([0.0, 1.0, 0.3])
    derivatives = (jax.vmap(f) for f in (jax.grad(error), jax.hessian(error), jax.grad(error, 1)))
    for f in (error, *derivatives):
        assert jnp.isfinite(f(z, y)).all()
    expected = [exact(*pair, error.gamma, error.alpha)[0] for pair in zip(z, y, strict=True)]
    np.testing.assert_allclose(error(z, y), expected, rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("z", [-2.0, 0.0, 3.0])
def test_derivatives_agree_with_differences_to_second_order(z):
    with jax.enable_x64(True):
        z, y = jnp.full(3, z), jnp.array([0.0, 0.3, 1.0])
        check_grads(jax.jit(FocalError(1.5, 0.25)), (z, y), order=2, modes=("fwd", "rev"))


def test_ready_made_loss_is_its_mean_and_reads_logits(rng):
    z, y = rng.normal(size=(3, 5)).astype(np.float32), np.ones((3, 5), np.float32)
    assert focal(z, y) == pytest.approx(float(FocalError()(jnp.asarray(z), jnp.asarray(y)).mean()))
    assert link_of(FocalError(3.0)) is jax.nn.sigmoid
    assert Loss(FocalError(0.0))(z, y) == pytest.approx(float(bce(z, y)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": -1.0}, r"gamma is -1\.0, expected a number that is not negative"),
        ({"gamma": float("nan")}, "gamma is nan"),
        ({"alpha": 1.5}, r"alpha is 1\.5, expected None or a number between 0 and 1"),
    ],
)
def test_hyperparameters_without_meaning_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FocalError(**arguments)
