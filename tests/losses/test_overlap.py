import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import Loss, TverskyError, dice, tversky

UNEVEN = TverskyError(0.3, 0.7, 0.5)
HALVES = TverskyError()


def index(p, y, alpha=0.5, beta=0.5, smoothing=0.0):
    """(TP + s)/(TP + αFP + βFN + s) in float64."""
    p, y = np.asarray(p, np.float64), np.asarray(y, np.float64)
    shared = np.sum(p * y) + smoothing
    return shared / (shared + alpha * np.sum(p * (1 - y)) + beta * np.sum((1 - p) * y))


def test_is_one_minus_the_tversky_index_of_the_whole_sample(rng):
    p, y = rng.random((2, 3, 4, 5)).astype(np.float32)
    got = jax.jit(UNEVEN)(p, y)
    assert got == pytest.approx(1 - index(p, y, 0.3, 0.7, 0.5), rel=1e-6)


def test_dice_is_twice_the_overlap_over_both_sizes(rng):
    P, Y = rng.random((2, 4, 6)).astype(np.float32)
    each = 1 - 2 * np.sum(P * Y, 1) / (np.sum(P, 1) + np.sum(Y, 1))
    np.testing.assert_allclose(dice.per_sample(P, Y), each, rtol=1e-5)
    assert dice(P, Y) == pytest.approx(np.mean(each), rel=1e-5)
    assert tversky(P, Y) == pytest.approx(
        1 - np.mean([index(p, y, 0.3, 0.7) for p, y in zip(P, Y, strict=True)]), rel=1e-5
    )


@pytest.mark.parametrize("error", [HALVES, UNEVEN])
def test_equal_sets_are_at_distance_zero(error, rng):
    y = (rng.random((5, 4)) > 0.5).astype(np.float32)
    value, gradient = jax.jit(jax.value_and_grad(error))(y, y)
    assert value == 0
    assert np.isfinite(gradient).all()


def test_two_empty_sets_are_at_distance_zero_with_zero_gradient():
    zeros = np.zeros(4, np.float32)
    derivatives = jax.jit(lambda p, y: (jax.grad(HALVES, (0, 1))(p, y), jax.hessian(HALVES)(p, y)))
    assert jax.jit(HALVES)(zeros, zeros) == 0
    assert all((x == 0).all() for x in jax.tree.leaves(derivatives(zeros, zeros)))


def test_smoothing_tells_almost_empty_from_empty():
    p, y = jnp.full(4, 1e-6), jnp.zeros(4)
    assert HALVES(p, y) == 1
    assert TverskyError(smoothing=1.0)(p, y) == pytest.approx(2e-6, rel=1e-5)


def test_almost_equal_sets_keep_their_digits():
    """1 − index is a multiple of 6e-8 in float32."""
    y = jnp.array([1.0, 0.0, 1.0, 0.0])
    assert HALVES(y + 1e-9 * (1 - y), y) == pytest.approx(2e-9 / 2 / 2, rel=1e-6)


def test_the_gradient_is_that_of_the_index(rng):
    with jax.enable_x64(True):
        p, y = (jnp.asarray(x) for x in rng.random((2, 3, 4)))
        plain = jax.jit(jax.grad(lambda p: 1 - index_in_jax(p, y)))(p)
        np.testing.assert_allclose(jax.jit(jax.grad(UNEVEN))(p, y), plain, rtol=1e-12)


def index_in_jax(p, y):
    shared = jnp.sum(p * y) + 0.5
    return shared / (shared + 0.3 * jnp.sum(p * (1 - y)) + 0.7 * jnp.sum((1 - p) * y))


def test_derivatives_agree_with_finite_differences_to_second_order(rng):
    with jax.enable_x64(True):
        p, y = rng.uniform(0.1, 0.9, (2, 5))
        check_grads(jax.jit(UNEVEN), (p, y), order=2, modes=["fwd"])


EXTREMES = [1e4, -1e4, 0.0, 1.0, -1.0, 1e20, -1e20, 1e30, -1e30, 3e38, 1e-40, 1e-38, 1e-30]


@pytest.mark.parametrize("error", [HALVES, UNEVEN])
def test_extremes_stay_finite(error):
    corners = np.stack(np.meshgrid(EXTREMES, EXTREMES, [0, 1, -1e20]), -1).reshape(-1, 3)
    numbers, others, thirds = np.float32(corners).T
    zeros = np.zeros_like(numbers)
    P = np.stack([numbers, thirds, zeros], 1)
    for Y in (np.stack([others, thirds, zeros], 1), np.stack([zeros, others, zeros + 1], 1)):
        derivatives = jax.vmap(jax.value_and_grad(error, argnums=(0, 1)))
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(jax.jit(derivatives)(P, Y)))


def test_numbers_beyond_one_are_compared_by_the_formula():
    """Products of such numbers overflow before they are divided."""
    p, y = jnp.float32([1e30, 1e30, 0]), jnp.float32([1, 0, 0])
    for error in (UNEVEN, TverskyError(alpha=2.0)):
        expected = 1 - index(p, y, error.alpha, error.beta, error.smoothing)
        assert error(p, y) == pytest.approx(expected, rel=1e-6)


def test_a_mask_reaches_inside_a_sample(rng):
    P, Y = rng.random((2, 4, 6)).astype(np.float32)
    where = np.arange(6) < np.array([[3], [6], [0], [1]])
    pairs = [(p[w], y[w]) for p, y, w in zip(P, Y, where, strict=True) if w.any()]
    loss = Loss(UNEVEN)
    value, gradient = jax.value_and_grad(loss)(np.where(where, P, np.nan), Y, where=where)
    expected = np.mean([1 - index(p, y, 0.3, 0.7, 0.5) for p, y in pairs])
    assert value == pytest.approx(expected, rel=1e-5)
    assert (gradient[~where] == 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -0.1}, "alpha is -0.1, expected a finite number, 0 or more"),
        ({"alpha": float("inf")}, "alpha is inf"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"smoothing": -1.0}, "smoothing is -1.0"),
        ({"alpha": 0.0, "beta": 0.0}, "both 0"),
    ],
)
def test_bad_hyperparameters_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TverskyError(**settings)
