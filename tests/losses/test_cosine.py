import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import Loss, cosine, cosine_distance, cosine_distance_of_vectors

distance = jax.jit(jax.value_and_grad(cosine_distance))
hessian = jax.jit(jax.hessian(cosine_distance))


def exact(p, y):
    """1 − ⟨p, y⟩/(‖p‖‖y‖) and −(y/‖y‖ − cos p/‖p‖)/‖p‖ in float64."""
    p, y = (np.asarray(x, np.longdouble).ravel() for x in (p, y))
    a, b = p / np.sqrt(p @ p), y / np.sqrt(y @ y)
    apart = (a - b) @ (a - b) / 2
    return float(apart), ((a - b) - apart * a) / np.sqrt(p @ p)


def test_is_one_minus_the_cosine_of_the_whole_sample(rng):
    p, y = rng.normal(size=(2, 3, 4)).astype(np.float32)
    value, gradient = distance(p, y)
    cosine_of_angle = np.sum(p * y) / np.linalg.norm(p) / np.linalg.norm(y)
    assert value == pytest.approx(1 - cosine_of_angle, rel=1e-5)
    np.testing.assert_allclose(gradient.ravel(), exact(p, y)[1], atol=1e-7)


@pytest.mark.parametrize("angle", [1.0, 1e-2, 1e-4, 3.1])
def test_small_angles_keep_their_digits(angle):
    """In float32, 1 − cos 1e-4 is 0 or 6e-8; it is 5e-9."""
    p, y = np.float32([np.cos(angle), np.sin(angle)]), np.float32([1, 0])
    value, gradient = distance(p, y)
    expected, slopes = exact(p, y)
    assert value == pytest.approx(expected, rel=2e-5)
    np.testing.assert_allclose(gradient, slopes, atol=1e-7, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-34, 1e-20, 1e4, 1e30, 1e35])
def test_lengths_neither_overflow_nor_underflow(scale, rng):
    p, y = rng.normal(size=(2, 12)).astype(np.float32)
    value, gradient = distance(p * np.float32(scale), y * np.float32(scale))
    expected, slopes = exact(p, y)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient * np.float64(scale), slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("zero", [0.0, 1e-40])
@pytest.mark.parametrize("which", ["prediction", "target", "both"])
def test_without_a_direction_the_distance_is_one_and_its_gradient_zero(which, zero):
    """optax 0.2.8 gives NaN here; subnormal numbers are 0 to XLA on a CPU."""
    ones, zeros = np.ones(3, np.float32), np.full(3, zero, np.float32)
    p, y = zeros if which != "target" else ones, zeros if which != "prediction" else ones
    value, gradient = distance(p, y)
    assert value == 1
    assert (gradient == 0).all()
    assert (hessian(p, y) == 0).all()


@pytest.mark.parametrize("which", [0, 1])
def test_a_number_that_is_not_one_is_not_hidden(which):
    p = np.float32([1, np.nan, 0])
    value, _ = distance(*((p, np.ones(3, np.float32)) if which else (np.ones(3, np.float32), p)))
    assert np.isnan(value)


def test_equal_samples_are_at_distance_zero_with_zero_gradient(rng):
    p = rng.normal(size=12).astype(np.float32)
    value, gradient = distance(p, p)
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("number", [1e4, -1e4, 0.0, 1.0, 1e-40, 1e30, -1e30])
def test_extremes_stay_finite(number):
    p = np.float32([number, 1.0, 0.0])
    for pair in ((p, p[::-1]), (p, -p), (p[::-1], np.abs(p))):
        value, gradient = distance(*pair)
        assert 0 <= value <= 2 + 1e-6
        assert np.isfinite(gradient).all()


def test_derivatives_agree_with_finite_differences_to_second_order(rng):
    with jax.enable_x64(True):
        p, y = rng.normal(size=(2, 5))
        check_grads(jax.jit(cosine_distance), (p, y), order=2, modes=["fwd"])


def test_a_mask_reaches_inside_a_sample(rng):
    P, Y = rng.normal(size=(2, 4, 6)).astype(np.float32)
    where = np.arange(6) < np.array([[3], [6], [0], [1]])
    each = [exact(p[w], y[w])[0] for p, y, w in zip(P, Y, where, strict=True) if w.any()]
    spoilt = np.where(where, P, np.nan)
    value, gradient = jax.value_and_grad(cosine)(spoilt, Y, where=where)
    assert value == pytest.approx(np.mean(each), rel=1e-5)
    assert (gradient[~where] == 0).all()


def test_vectors_along_the_last_axis_are_compared_one_by_one(rng):
    P, Y = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    errors = jax.jit(cosine_distance_of_vectors)(jnp.asarray(P), jnp.asarray(Y))
    expected = [
        [exact(p, y)[0] for p, y in zip(*rows, strict=True)] for rows in zip(P, Y, strict=True)
    ]
    chex.assert_trees_all_close(errors, np.float32(expected), rtol=1e-5)
    loss = Loss(cosine_distance_of_vectors)
    assert loss(P, Y) == pytest.approx(np.mean(expected), rel=1e-5)
