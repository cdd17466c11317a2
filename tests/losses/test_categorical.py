import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from jax.test_util import check_grads

from jaxae.losses import (
    CategoricalCrossEntropy,
    Loss,
    binary_cross_entropy,
    categorical,
    categorical_cross_entropy,
    categorical_cross_entropy_from_classes,
    cce,
    cce_from_classes,
    derivative_of,
    event_of,
    mean_class,
)

EXTREMES = [0.0, 1e4, -1e4, 1e30, -1e30, 1e-40, 1.0]


def batch(rng, shape=(6, 5), classes=4):
    """Logits, probabilities and classes of a batch."""
    z = rng.normal(0, 3, (*shape, classes)).astype(np.float32)
    y = scipy.special.softmax(rng.normal(size=z.shape), -1).astype(np.float32)
    return jnp.asarray(z), jnp.asarray(y), jnp.asarray(rng.integers(0, classes, shape))


def one_hot(classes, count):
    return jax.nn.one_hot(classes, count)


def exact(z, y):
    """−Σ y log softmax(z) in float64, and its derivative."""
    z, y = np.asarray(z, np.float64), np.asarray(y, np.float64)
    p = scipy.special.softmax(z, -1)
    return -(y * scipy.special.log_softmax(z, -1)).sum(-1), p * y.sum(-1, keepdims=True) - y


def test_values_and_derivatives_are_their_formulas(rng):
    z, y, c = batch(rng)
    for error, target, probabilities in (
        (categorical_cross_entropy, y, y),
        (categorical_cross_entropy_from_classes, c, one_hot(c, 4)),
    ):
        value, slope = exact(z, probabilities)
        np.testing.assert_allclose(jax.jit(error)(z, target), value, rtol=1e-6, atol=1e-7)
        got, gradient = jax.jit(jax.vmap(jax.vmap(jax.value_and_grad(error))))(z, target)
        np.testing.assert_allclose(got, value, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)
        closed = jax.jit(derivative_of(error))(z, target)
        np.testing.assert_allclose(closed, gradient, rtol=1e-6)


def test_they_agree_with_optax(rng):
    z, y, c = batch(rng)
    for ours, theirs, target in (
        (categorical_cross_entropy, optax.softmax_cross_entropy, y),
        (
            categorical_cross_entropy_from_classes,
            optax.softmax_cross_entropy_with_integer_labels,
            c,
        ),
    ):
        expected = jax.jit(theirs)(z, target)
        np.testing.assert_allclose(jax.jit(ours)(z, target), expected, rtol=1e-5, atol=1e-6)


def test_they_divide_by_events_as_keras_does():
    """Keras 3.15.1: CategoricalCrossentropy, SparseCategoricalCrossentropy, from_logits=True."""
    z = jnp.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    y = jnp.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
    assert cce(z, y) == pytest.approx(1.1805787086486816, rel=1e-6)
    smoothed = Loss(CategoricalCrossEntropy(label_smoothing=0.1))
    assert smoothed(z, y) == pytest.approx(1.2414120435714722, rel=1e-6)
    assert cce_from_classes(z, jnp.array([2, 1])) == pytest.approx(0.9555786848068237, rel=1e-6)


def test_two_classes_are_binary_cross_entropy(rng, ulp):
    """The derivative keeps its digits where softmax rounds to 1: −σ(−z) at z = 30."""
    logit = jnp.asarray(np.append(rng.uniform(-60, 60, 500), [0, 30]), jnp.float32)
    c = jnp.asarray(np.arange(logit.size) % 2)
    z = jnp.stack([jnp.zeros_like(logit), logit], -1)
    y = c.astype(jnp.float32)
    binary = jax.jit(jax.vmap(jax.value_and_grad(binary_cross_entropy)))(logit, y)
    expected, slopes = (np.asarray(x, np.float64) for x in binary)
    function = jax.vmap(jax.value_and_grad(categorical_cross_entropy_from_classes))
    value, gradient = jax.jit(function)(z, c)
    assert ulp(gradient[:, 1], slopes) <= 6
    assert ulp(value, expected) <= 6


def orders(error):
    """The value, gradient and Hessian of many events."""
    return jax.jit(
        jax.vmap(lambda z, y: (*jax.value_and_grad(error)(z, y), jax.hessian(error)(z, y)))
    )


def test_of_a_class_that_is_nearly_certain_what_comes_with_the_gradient_keeps_its_digits(rng):
    z = jnp.asarray(rng.uniform(-12, 12, (2000, 5)), jnp.float32)
    classes = z.argmax(-1)
    exact_value, _ = exact(z, one_hot(classes, 5))
    both = jax.jit(jax.vmap(jax.value_and_grad(categorical_cross_entropy_from_classes)))
    value, slope = both(z, classes)
    np.testing.assert_allclose(value, exact_value, rtol=4e-6)
    own = slope[np.arange(2000), classes]
    np.testing.assert_allclose(own, np.expm1(-exact_value), rtol=4e-6)
    alone = jax.jit(categorical_cross_entropy_from_classes)(z, classes)
    np.testing.assert_allclose(alone, exact_value, rtol=1e-6, atol=2e-7)


def test_extreme_logits_are_finite_to_second_order():
    y = np.float32([*np.eye(7), np.full(7, 1 / 7)])
    z = np.tile(np.float32(EXTREMES), (8, 1))
    for error in (categorical_cross_entropy, CategoricalCrossEntropy(0.1)):
        value, *derivatives = orders(error)(z, y)
        assert all(np.isfinite(x).all() for x in (value, *derivatives))
        if error is categorical_cross_entropy:
            np.testing.assert_array_equal(value[:7], np.float32(1e30) - z[0])


def test_extreme_logits_of_known_classes_are_finite_to_second_order():
    z = jnp.tile(jnp.array(EXTREMES), (7, 1))
    c = jnp.arange(7)
    error = categorical_cross_entropy_from_classes
    value, slope, curvature = orders(error)(z, c)
    np.testing.assert_allclose(value, 1e30 - np.array(EXTREMES), rtol=1e-6)
    np.testing.assert_array_equal(slope, np.eye(7)[3] - np.eye(7))
    assert (curvature == 0).all()
    assert value[3] == 0


def test_a_class_that_is_ruled_out_and_absent_adds_nothing():
    z, y = jnp.array([0.0, 0.0, -jnp.inf]), jnp.array([0.5, 0.5, 0.0])
    assert categorical_cross_entropy(z, y) == pytest.approx(np.log(2))
    value, slope = jax.jvp(categorical_cross_entropy, (z, y), (jnp.ones(3), jnp.zeros(3)))
    assert value == pytest.approx(np.log(2))
    assert slope == pytest.approx(0, abs=1e-7)


def test_a_class_that_does_not_exist_is_loud():
    z = np.zeros((2, 4), np.float32)
    function = jax.jit(jax.value_and_grad(cce_from_classes))
    for c in (-1, 4, 1000, -5):
        value, gradient = function(z, np.int32([0, c]))
        assert np.isnan(value)
        assert not np.isnan(gradient[0]).any()
        assert np.isnan(gradient[1]).all()
        kept = cce_from_classes(z, np.int32([0, c]), where=np.array([True, False]))
        assert kept == pytest.approx(np.log(4))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32])
def test_classes_of_any_integer_type_are_the_same(dtype, rng):
    z = jnp.asarray(rng.normal(size=(2, 3, 300)), jnp.float32)
    c = rng.integers(0, 127, (2, 3))
    expected = cce_from_classes(z, c.astype(np.int32))
    assert cce_from_classes(z, c.astype(dtype)) == expected


def test_masks_and_weights_cover_events(rng):
    z, y, c = batch(rng)
    where = rng.random((6, 5)) > 0.4
    w = np.float32([0, 1, 2, 0.5, 3, 1])
    cover = w[:, None] * where
    for loss, target, probabilities in ((cce, y, y), (cce_from_classes, c, one_hot(c, 4))):
        value, slope = exact(z, probabilities)
        expected = (cover * value).sum() / cover.sum()
        got, gradient = jax.value_and_grad(loss)(z, target, where=where, weights=w)
        assert got == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(
            gradient, cover[..., None] * slope / cover.sum(), rtol=1e-5, atol=1e-8
        )
    assert event_of(cce_from_classes.error).classes


def test_derivatives_agree_with_differences_to_second_order(rng):
    """Where two classes are equally likely, too."""
    c = jnp.array([2, 0, 2, 0])

    def both(z, y):
        known = categorical_cross_entropy_from_classes(z, c)
        return CategoricalCrossEntropy(0.1)(z, y) + 2 * known

    with jax.enable_x64(True):
        z = jnp.asarray(np.concatenate([np.zeros((2, 3)), rng.normal(size=(2, 3))]))
        y = jnp.tile(jnp.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]]), (2, 1))
        check_grads(jax.jit(both), (z, y), order=2, modes=("fwd", "rev"), rtol=1e-4)


def test_smooth_labels_have_the_derivative_of_their_targets(rng):
    z, y, _ = batch(rng)
    error, smooth = CategoricalCrossEntropy(0.2), 0.8 * y + 0.05
    value, slope = exact(z, smooth)
    np.testing.assert_allclose(jax.jit(error)(z, y), value, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(error.derivative)(z, y), slope, rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match=r"label_smoothing is 1\.5"):
        CategoricalCrossEntropy(1.5)


def test_the_likelihood_draws_levels_and_reads_their_mean(rng):
    levels = categorical(4)
    z = jnp.asarray(rng.normal(size=4), jnp.float32)
    p = scipy.special.softmax(np.asarray(z, np.float64))
    draws = levels.sample(jnp.broadcast_to(z, (20_000, 4)), key=jax.random.key(0))
    assert jnp.issubdtype(draws.dtype, jnp.integer)
    np.testing.assert_allclose(np.bincount(draws, minlength=4) / 20_000, p, atol=0.015)
    assert levels.link is mean_class
    assert levels.link(z) == pytest.approx(p @ np.arange(4), rel=1e-6)
    assert levels.parameters_per_element == 4
    assert levels == categorical(4)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="classes is 1, expected a whole number of at least 2"):
        categorical(1)


@pytest.mark.parametrize(
    ("loss", "target", "error", "message"),
    [
        (cce, np.zeros((2, 3), np.float32), ValueError, "expected equal shapes"),
        (cce_from_classes, np.zeros((2, 3, 4), int), ValueError, "one more axis, the last"),
        (cce_from_classes, np.zeros((2, 3), np.float32), TypeError, "integers that name classes"),
    ],
)
def test_targets_of_the_other_kind_are_named(loss, target, error, message):
    with pytest.raises(error, match=message):
        loss(np.zeros((2, 3, 4), np.float32), target)
