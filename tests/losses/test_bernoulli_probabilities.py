import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    ClippedBinaryCrossEntropy,
    Loss,
    bce_from_probabilities,
    binary_cross_entropy_from_probabilities,
    derivative_of,
)


def test_certain_probabilities_are_finite():
    p, y = np.float32([0, 1, 0, 1, 1e-20]), np.float32([0, 1, 1, 0, 0])
    function = jax.jit(jax.vmap(jax.value_and_grad(binary_cross_entropy_from_probabilities)))
    value, slope = function(p, y)
    assert value.tolist() == np.float32([0, 0, 100, 100, 1e-20]).tolist()
    np.testing.assert_allclose(slope, [1, -1, -1e12, 1e12, 1], rtol=1e-6)


def test_derivative_from_probabilities_is_its_closed_form(rng):
    p, y = rng.uniform(0.01, 0.99, (2, 50)).astype(np.float32)
    error = binary_cross_entropy_from_probabilities
    by_prediction, by_target = jax.jit(jax.vmap(jax.grad(error, argnums=(0, 1))))(p, y)
    np.testing.assert_allclose(by_prediction, (p - y) / (p * (1 - p)), rtol=1e-5)
    np.testing.assert_array_equal(by_prediction, jax.jit(derivative_of(error))(p, y))
    np.testing.assert_allclose(by_target, np.log1p(-p) - np.log(p), rtol=1e-4, atol=1e-6)


def test_mean_pixel_entropy_of_mnist_is_the_floor(mnist_dir):
    """The floor that ../shared/data/mnist/README.md gives for the test images: 0.05808 nats."""
    from jaxae.data import load

    test = load("mnist", mnist_dir).test
    assert bce_from_probabilities(test, test) == pytest.approx(0.05808, abs=5e-6)


def test_the_clip_is_that_of_keras():
    """Keras 3.15.1: ops.binary_crossentropy and BinaryCrossentropy(label_smoothing=0.1)."""
    p = jnp.array([0.0, 0.0, 1.0, 1.0, 0.25, 0.25])
    y = jnp.array([0.0, 1.0, 0.0, 1.0, 0.3, 1.0])
    keras = [1.1920929e-07, 16.118095, 15.942385, 1.1920929e-07, 0.61726582, 1.3862944]
    # Keras rounds 1 − p to a multiple of 6e-8 before it takes the logarithm.
    np.testing.assert_allclose(ClippedBinaryCrossEntropy()(p, y), keras, rtol=1e-6, atol=6e-8)
    smoothed = Loss(ClippedBinaryCrossEntropy(label_smoothing=0.1))
    assert smoothed(p[None], y[None]) == pytest.approx(5.671847343444824, rel=1e-6)


def test_between_the_clips_the_derivative_is_that_of_the_probability(rng):
    p, y = (jnp.asarray(x, jnp.float32) for x in rng.uniform(0.01, 0.99, (2, 50)))
    error = ClippedBinaryCrossEntropy()
    got, by_target = jax.jit(jax.vmap(jax.grad(error, argnums=(0, 1))))(p, y)
    np.testing.assert_allclose(got, (1 - y) / (1 - p) - y / p, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got, jax.jit(error.derivative)(p, y))
    np.testing.assert_allclose(by_target, np.log1p(-p) - np.log(p), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-12, 1e-40])
def test_outside_the_clips_the_value_is_finite_and_the_derivative_zero(epsilon):
    error = ClippedBinaryCrossEntropy(epsilon)
    extremes = np.float32([0.0, 1.0, -1e30, 1e30, -1e4, 1e4, 1e-40])
    p, y = (x.ravel() for x in np.meshgrid(extremes, np.float32([0, 0.5, 1])))
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(error)))(p, y)
    assert np.isfinite(value).all()
    assert (slope == 0).all()
    assert (jax.jit(jax.vmap(jax.grad(jax.grad(error))))(p, y) == 0).all()


def test_the_smallest_probability_is_not_clipped():
    derivative = jax.jit(ClippedBinaryCrossEntropy(0.25).derivative)
    assert derivative(jnp.float32(0.25), jnp.float32(1)) == -4


@pytest.mark.parametrize("epsilon", [0.0, 0.5, -1e-7, float("nan")])
def test_an_epsilon_without_meaning_is_refused(epsilon):
    with pytest.raises(ValueError, match=r"expected a number above 0 and below 0\.5"):
        ClippedBinaryCrossEntropy(epsilon)


def test_smoothing_beyond_one_is_refused():
    with pytest.raises(ValueError, match="label_smoothing is 2"):
        ClippedBinaryCrossEntropy(label_smoothing=2.0)
