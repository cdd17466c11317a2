"""Expected values are the arithmetic of Keras 2.2.4's weighted_masked_objective, by hand."""

from fractions import Fraction

import jax
import numpy as np
import pytest

from jaxae.losses import squared_error
from jaxae.losses.conventions import KERAS_2_2, KERAS_3, TORCH_SUM, Keras22Loss, constant

LOSS = KERAS_2_2(squared_error)
# N = 2 samples, T = 2 steps, C = 2 features; errors are squares of the predictions.
A = np.array([[[1, 3], [2, 4]], [[0, 2], [5, 1]]], np.float32)
Y = np.zeros_like(A)
# Keras's score of a step is the mean over the last axis: [[5, 10], [2, 13]].
MASK = np.array([[True, False], [True, True]])


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


def keras_2_2(score, mask=None, weights=None):
    """The function's steps, in its order, on scores of shape (N, T)."""
    if mask is not None:
        score = score * mask / np.mean(mask)
    if weights is not None:
        score = score.mean(tuple(range(weights.ndim, score.ndim)))
        score = score * weights / np.mean(weights != 0)
    return np.mean(score)


def test_without_a_mask_or_weights_it_is_the_mean():
    assert LOSS(A, Y) == (5 + 10 + 2 + 13) / 4


def test_a_mask_divides_by_the_steps_that_are_valid():
    # score · mask = [[5, 0], [2, 13]]; / mean(mask) = ¾; mean over 4: 20 / ¾ / 4.
    assert LOSS(A, Y, where=MASK) == pytest.approx(20 / 3)


def test_weights_divide_by_how_many_are_not_zero():
    # Per sample [7.5, 7.5] · [3, 0] / mean([1, 0]) = ½, mean over 2: 22.5 / ½ / 2.
    assert LOSS(A, Y, weights=np.array([3, 0], np.float32)) == pytest.approx(22.5)


def test_weights_of_steps_divide_by_how_many_are_not_zero():
    # score · w = [[10, 0], [2, 0]] / ½, mean over 4.
    weights = np.array([[2, 0], [1, 0]], np.float32)
    assert LOSS(A, Y, weights=weights) == pytest.approx(12 / 0.5 / 4)


def test_a_mask_and_weights_of_samples_multiply_their_denominators():
    # score · mask / ¾ = [[20/3, 0], [8/3, 52/3]]; mean over steps [10/3, 10];
    # · [2, 0.5] = [20/3, 5]; no weight is 0; mean over 2: 35/6.
    weights = np.array([2, 0.5], np.float32)
    assert LOSS(A, Y, where=MASK, weights=weights) == pytest.approx(35 / 6)
    # · [3, 0] = [10, 0] / ½ = [20, 0]; mean over 2: 10.
    weights = np.array([3, 0], np.float32)
    assert LOSS(A, Y, where=MASK, weights=weights) == pytest.approx(10)


def test_a_mask_and_weights_of_steps_multiply_their_denominators():
    # score · mask / ¾ = [[20/3, 0], [8/3, 52/3]] · [[1, 1], [2, 0]] = [[20/3, 0], [16/3, 0]];
    # 3 of 4 weights are not 0, the masked one too: / ¾ = [[80/9, 0], [64/9, 0]]; mean over 4: 4.
    weights = np.array([[1, 1], [2, 0]], np.float32)
    assert LOSS(A, Y, where=MASK, weights=weights) == pytest.approx(4)


@pytest.mark.parametrize("weighted_axes", [1, 2])
def test_it_is_the_functions_steps_on_random_batches(weighted_axes, rng):
    A, Y = rng.normal(size=(2, 6, 4, 3)).astype(np.float32)
    mask = rng.random((6, 4)) > 0.3
    weights = rng.integers(0, 3, (6, 4)[:weighted_axes]).astype(np.float32)
    score = ((A - Y).astype(np.float64) ** 2).mean(-1)
    for m, w in ((mask, None), (None, weights), (mask, weights)):
        expected = keras_2_2(score, m, w)
        assert LOSS(A, Y, where=m, weights=w) == pytest.approx(expected, rel=1e-6)
        ratio = constant(TORCH_SUM, KERAS_2_2, A.shape, m, w) * A.size
        total = TORCH_SUM(squared_error)(A, Y, where=m, weights=w) / A.size
        assert float(ratio) * total == pytest.approx(expected, rel=1e-5)


def test_it_is_differentiable_with_both_and_what_is_masked_cannot_touch_it():
    weights = np.array([2, 0.5], np.float32)
    bad = np.where(MASK[..., None], A, np.nan)
    value, gradient = jax.value_and_grad(LOSS)(bad, Y, where=MASK, weights=weights)
    assert value == pytest.approx(35 / 6)
    # ∂/∂a = 2a · w · m / (numel · ¾ · 1), numel = 8.
    np.testing.assert_allclose(
        gradient, 2 * A * weights[:, None, None] * MASK[..., None] / (8 * 0.75), rtol=1e-6
    )


def test_everything_masked_or_weightless_is_zero():
    ones = np.ones(2, np.float32)
    assert LOSS(A, Y, where=MASK & False, weights=ones) == 0
    assert LOSS(A, Y, where=MASK, weights=0 * ones) == 0


@pytest.mark.parametrize("method", ["mean", "merged", "per_sample"])
def test_with_both_what_would_have_to_add_is_refused(method):
    weights = np.array([2, 0.5], np.float32)
    with pytest.raises(ValueError, match=r"does not add: .* call the loss on the whole batch"):
        getattr(LOSS, method)(A, Y, where=MASK, weights=weights)


def test_with_one_of_both_everything_works():
    weights = np.array([3, 0], np.float32)
    for covered in ({"where": MASK}, {"weights": weights}):
        parts = [
            LOSS.merged(A[i:j], Y[i:j], **{name: x[i:j] for name, x in covered.items()})
            for i, j in ((0, 1), (1, 2))
        ]
        assert (parts[0] + parts[1]).value == pytest.approx(float(LOSS(A, Y, **covered)))
        assert LOSS.per_sample(A, Y, **covered).shape == (2,)


@pytest.mark.parametrize("other", [{"unit": "sample"}, {"unit": "total"}, {"count": "weight"}])
def test_another_unit_or_count_is_refused(other):
    expected = {"unit": "element", "count": "nonzero"}
    (name, value), *_ = other.items()
    message = f"{name} is {value!r}, expected {expected[name]!r}: Keras 2.2 has one way to reduce"
    with pytest.raises(ValueError, match=message):
        Keras22Loss(squared_error, **other)
    assert Keras22Loss(squared_error, **expected) == LOSS


def test_shapes_are_checked_with_both():
    with pytest.raises(ValueError, match="a prefix of"):
        LOSS(A, Y, where=MASK, weights=np.ones(3, np.float32))


def test_the_constant_to_another_convention_is_exact():
    weights = np.array([3, 0], np.float32)
    # Keras 2.2: 8 · ¾ · ½ = 3; Keras 3: Σm = 6 of 8.
    assert constant(KERAS_3, KERAS_2_2, A.shape, MASK, weights) == Fraction(6, 3)
