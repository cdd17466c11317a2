"""Reductions: denominators, masks, weights and cuts as they are defined, and mistakes."""

import functools
import itertools

import chex
import hypothesis.extra.numpy as npst
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxae.losses import (
    Loss,
    Mean,
    Total,
    absolute_error,
    bce,
    bce_from_probabilities,
    mae,
    mse,
    squared_error,
    sse,
    sse_per_sample,
)

PUBLIC = [mse, sse, sse_per_sample, mae, bce, bce_from_probabilities]
MEANS = [loss for loss in PUBLIC if loss is not sse]
COUNTS = ["weight", "valid", "nonzero", "all"]
every_loss = pytest.mark.parametrize("loss", PUBLIC, ids=lambda loss: loss.name)
every_mean = pytest.mark.parametrize("loss", MEANS, ids=lambda loss: loss.name)


def batch(rng, shape=(6, 5), dtype=np.float32):
    """Predictions and targets strictly inside (0, 1), where every loss is smooth."""
    return rng.uniform(0.1, 0.4, shape).astype(dtype), rng.uniform(0.6, 0.9, shape).astype(dtype)


def about(x, rel=1e-6):
    return pytest.approx(float(x), rel=rel)


def spread(x, A):
    """A mask or weights over a prefix of A's axes, written out for each element."""
    return np.broadcast_to(np.reshape(x, np.shape(x) + (1,) * (A.ndim - np.ndim(x))), A.shape)


def direct(loss, A, Y, where=True, weights=1.0):
    """The definition, in NumPy and float64: Σ w·m·e over what the unit and count say."""
    m, w = spread(where, A), spread(weights, A).astype(np.float64)
    with jax.enable_x64(True):
        e = np.asarray(loss.error(jnp.asarray(A, jnp.float64), jnp.asarray(Y, jnp.float64)))
    present = m & (w != 0)
    total = np.sum((w * e)[present])
    if loss.unit == "total":
        return total
    counts = {"weight": w * m, "valid": m, "nonzero": present, "all": np.ones(A.shape)}
    c = counts[loss.count].reshape(len(A), -1)
    weight = c.sum() if loss.unit == "element" else c.max(1).sum()
    return total / weight if weight else 0.0


@every_loss
def test_is_its_definition(loss, rng):
    A, Y = batch(rng)
    assert loss(A, Y) == about(direct(loss, A, Y))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("unit", ["element", "sample", "total"])
def test_masks_and_weights_are_their_definition(unit, count, axes, rng):
    A, Y = batch(rng, (4, 3, 5))
    where, weights = rng.random(A.shape[:axes]) > 0.4, rng.integers(0, 3, A.shape[: 4 - axes])
    loss = Loss(squared_error, unit, count)
    for arguments in (
        {"where": where},
        {"weights": weights.astype(np.float32)},
        {"where": where, "weights": weights.astype(np.float32)},
    ):
        assert loss(A, Y, **arguments) == about(direct(loss, A, Y, **arguments))


@every_mean
def test_a_flat_mean_of_vmapped_means_is_the_same_number(loss, rng):
    A, Y = batch(rng)
    features = A.shape[1] if loss.unit == "sample" else 1
    means = jax.vmap(lambda a, y: jnp.mean(loss.error(a, y)))(A, Y)
    assert loss(A, Y) == about(features * jnp.mean(means))


@pytest.mark.parametrize("unit", ["element", "sample", "total"])
@pytest.mark.parametrize("count", COUNTS)
def test_weights_of_a_prefix_are_the_weights_spread_out(unit, count, rng):
    A, Y = batch(rng, (4, 3, 2))
    weights = rng.integers(0, 3, (4, 3)).astype(np.float32)
    loss, spread = Loss(absolute_error, unit, count), np.repeat(weights[..., None], 2, axis=2)
    assert loss(A, Y, weights=weights) == about(loss(A, Y, weights=spread))


def test_the_mean_of_means_over_ragged_samples_has_a_name(rng):
    A, Y = batch(rng, (3, 4))
    where = np.arange(4) < np.array([[1], [0], [4]])
    valid = where.sum(1)
    means = [np.mean((A[i, :n] - Y[i, :n]) ** 2) for i, n in enumerate(valid) if n]
    mean_of_means = np.mean(means)
    loss = Loss(squared_error, unit="sample", count="valid")
    with np.errstate(divide="ignore"):
        weights = 1 / valid  # infinite where all is masked
    assert loss(A, Y, where=where, weights=weights) == about(mean_of_means)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("unit", ["element", "sample", "total"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_weights_behind_a_mask_cannot_touch_the_result(unit, count, bad, rng):
    A, Y = batch(rng)
    where = np.arange(6) != 2
    good = rng.uniform(1, 2, 6).astype(np.float32)
    loss = Loss(squared_error, unit, count)
    expected = jax.value_and_grad(loss)(A, Y, where=where, weights=good)
    got = jax.value_and_grad(loss)(A, Y, where=where, weights=np.where(where, good, bad))
    chex.assert_trees_all_equal(got, expected)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_value_and_gradient_do_not_depend_on_the_cut(data):
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 4)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    loss = Loss(
        squared_error,
        data.draw(st.sampled_from(["element", "sample", "total"])),
        data.draw(st.sampled_from(COUNTS)),
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[0]), max_size=4)))
    with jax.enable_x64(True):
        A, Y = rng.normal(size=shape), rng.normal(size=shape)
        where, w = rng.random(shape) > 0.3, rng.integers(0, 3, shape[0]).astype(np.float64)
        edges = [0, *cuts, shape[0]]
        parts = [slice(*edge) for edge in itertools.pairwise(edges)]

        def cut(A):
            means = [loss.merged(A[p], Y[p], where=where[p], weights=w[p]) for p in parts]
            return functools.reduce(lambda a, b: a + b, means).value

        whole = jax.value_and_grad(loss)(A, Y, where=where, weights=w)
        chex.assert_trees_all_close(jax.value_and_grad(cut)(jnp.asarray(A)), whole, rtol=1e-12)


@every_loss
@pytest.mark.parametrize("transform", [jax.jit, jax.checkpoint])
def test_transformations_do_not_change_the_value(loss, transform, rng):
    A, Y = batch(rng)
    assert transform(loss)(A, Y) == about(loss(A, Y))


@every_loss
def test_losses_can_be_scanned(loss, rng):
    A, Y = batch(rng, (3, 4, 5))
    _, values = jax.lax.scan(lambda _, pair: (None, loss(*pair)), None, (A, Y))
    np.testing.assert_allclose(values, jax.vmap(loss)(A, Y), rtol=1e-6)


@every_loss
def test_hessian_is_forward_over_reverse(loss, rng):
    A, Y = batch(rng, (2, 2))
    hessian = jax.hessian(loss)(jnp.asarray(A), jnp.asarray(Y))
    assert hessian.shape == (2, 2, 2, 2)
    assert jnp.isfinite(hessian).all()
    if loss is mse:
        np.testing.assert_allclose(hessian.reshape(4, 4), 2 / 4 * np.eye(4), rtol=1e-6)
    if loss is bce:
        slope = np.asarray(jax.nn.sigmoid(A) * (1 - jax.nn.sigmoid(A))).ravel()
        np.testing.assert_allclose(hessian.reshape(4, 4), np.diag(slope / 4), rtol=1e-5)


def test_float64_stays_float64(rng):
    with jax.enable_x64(True):
        A, Y = batch(rng, dtype=np.float64)
        assert mse(A, Y).dtype == mse(A, Y.astype(np.float32)).dtype == jnp.float64


def test_short_sums_do_not_stick():
    """A bfloat16 sum of ones stays at 256 (ml_dtypes issue 63)."""
    ones = jnp.ones((1000, 1), jnp.bfloat16)
    assert sse(ones, jnp.zeros_like(ones)) == 1000


LAYOUTS = [(1, 10**8), (10**8, 1), (10**4, 10**4)]


@pytest.mark.parametrize("shape", LAYOUTS)
def test_a_mean_of_many_equal_numbers_is_right_to_a_millionth(shape):
    A = np.full(shape, 0.3, np.float32)
    samples, numbers = np.full(shape[0], 0.9, np.float32), np.full(shape, 0.9, np.float32)
    of_numbers = {"weights": numbers, "where": np.ones(shape, bool)}
    for arguments in ({}, {"weights": samples}, of_numbers):
        value = Loss(absolute_error)(A, np.broadcast_to(np.float32(0), shape), **arguments)
        assert value == about(np.float32(0.3))


@settings(deadline=None, max_examples=30)
@given(npst.arrays(np.int32, (4, 3), elements=st.integers(0, 1)), st.sampled_from(PUBLIC))
def test_integer_and_boolean_targets_are_converted(targets, loss):
    A = np.full((4, 3), 0.3, np.float32)
    for converted in (targets, targets.astype(bool)):
        assert loss(A, converted) == about(loss(A, targets.astype(np.float32)))


def test_equal_losses_built_again_compile_once(rng):
    @functools.partial(jax.jit, static_argnums=0)
    @chex.assert_max_traces(n=1)
    def value(loss, A, Y):
        return loss(A, Y)

    for _ in range(3):
        value(Loss(squared_error, unit="sample"), *batch(rng))
    assert Loss(squared_error) == mse
    assert hash(Loss(squared_error)) == hash(mse)


@pytest.mark.parametrize(
    "error",
    [
        lambda p, t: jnp.mean((p - t) ** 2),
        lambda p, t: jnp.sum((p - t) ** 2, -1),
        lambda p, t: p > t,
    ],
)
def test_an_error_that_is_not_elementwise_is_refused(error, rng):
    with pytest.raises(ValueError, match=r"expected float32 of shape \(5,\): one number for each"):
        Loss(error)(*batch(rng))


def test_mean_of_one_sample_is_not_divided():
    statistic = mse.mean(jnp.array([1.0, 2.0]), jnp.array([0.0, 0.0]))
    assert statistic == Mean(jnp.float32(5), jnp.float32(2))
    assert sse.mean(jnp.array([1.0, 2.0]), jnp.array([0.0, 0.0])) == Total(jnp.float32(5))


ONE = np.ones((4, 3), np.float32)
MISTAKES = {
    "shapes that differ": (ONE, ONE[:, :2], {}, ValueError, r"\(4, 3\).*\(4, 2\)"),
    "a shape that would broadcast": (ONE, ONE[:1], {}, ValueError, "nothing is broadcast"),
    "integer predictions": (ONE.astype(int), ONE, {}, TypeError, "int.*expected a floating"),
    "complex targets": (ONE, ONE * 1j, {}, TypeError, "complex64, expected real"),
    "a mask of floats": (ONE, ONE, {"where": ONE}, TypeError, "float32, expected bool"),
    "complex weights": (ONE, ONE, {"weights": ONE * 1j}, TypeError, "expected real"),
    "a mask of the last axis": (ONE, ONE, {"where": ONE[0] > 0}, ValueError, r"\(4,\) or \(4, 3\)"),
    "weights of the last axis": (ONE, ONE, {"weights": ONE[0]}, ValueError, r"\(4,\) or \(4, 3\)"),
    "weights that would broadcast": (ONE, ONE, {"weights": ONE[:, :1]}, ValueError, r"\(4, 1\)"),
    "a scalar weight": (ONE, ONE, {"weights": np.float32(2)}, ValueError, "weights is a scalar"),
    "scalars": (np.float32(1), np.float32(1), {}, ValueError, "prediction is a scalar"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    A, Y, arguments, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        mse(A, Y, **arguments)
    with pytest.raises(error, match=message):
        jax.jit(mse)(A, Y, **arguments)


def test_a_mask_by_position_is_refused():
    with pytest.raises(TypeError, match="got 3 arrays, expected 2: prediction, target; masks"):
        mse(ONE, ONE, ONE > 0)


@pytest.mark.parametrize("field", ["unit", "count"])
def test_an_unknown_unit_or_count_is_refused(field):
    loss = Loss(squared_error)
    object.__setattr__(loss, field, "batch")  # the tests' type checker refuses it earlier
    with pytest.raises(ValueError, match=f"{field} is 'batch', expected one of"):
        loss.__post_init__()


def test_repr_says_what_it_is():
    assert repr(mse) == "Loss(squared_error, unit='element', count='weight')"
