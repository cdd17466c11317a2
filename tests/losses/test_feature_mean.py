import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    FeatureMeans,
    KLSparsity,
    Means,
    activation,
    squared_error,
)

COUNTS = ["weight", "valid", "nonzero", "all"]


def largest(means, present):
    return jnp.max(means, where=present, initial=-1)


def roots(means, present):
    return jnp.sum(jnp.sqrt(1 + means), where=present)


def batch(rng, shape=(6, 3)):
    return rng.uniform(0.1, 0.9, (2, *shape)).astype(np.float32)


@pytest.mark.parametrize("count", COUNTS)
def test_is_a_function_of_each_features_own_mean(count, rng):
    A, Y = batch(rng)
    where, weights = rng.random(A.shape) > 0.3, rng.integers(0, 3, A.shape).astype(np.float32)
    e, w = np.where(where, (A - Y) ** 2, 0), np.where(where, weights, 0)
    counts = {"weight": w, "valid": where, "nonzero": w != 0, "all": np.ones(A.shape)}[count]
    expected = np.sqrt(1 + (w * e).sum(0) / counts.sum(0)).sum()
    loss = FeatureMeans(squared_error, roots, count)
    assert loss(A, Y, where=where, weights=weights) == pytest.approx(expected, rel=1e-6)


def test_one_samples_statistic_is_not_divided():
    loss = FeatureMeans(activation, roots)
    got = loss.mean(jnp.array([[1.0, 2.0], [3.0, 4.0]]), weights=jnp.array([2.0, 0.0]))
    expected = [[[2, 4], [0, 0]], [[2, 2], [0, 0]], [[1, 1], [0, 0]]]
    assert [x.tolist() for x in (got.total, got.weight, got.presence)] == expected


@pytest.mark.parametrize("count", COUNTS)
def test_a_feature_that_nothing_counts_in_is_left_out(count, rng):
    A, Y = batch(rng)
    where = np.arange(3)[None].repeat(6, 0) != 1
    loss, kept = FeatureMeans(squared_error, roots, count), FeatureMeans(squared_error, roots)
    A[:, 1] = np.nan
    value, gradient = jax.value_and_grad(loss)(A, Y, where=where)
    assert value == pytest.approx(float(kept(A[:, ::2], Y[:, ::2])), rel=1e-6)
    assert (gradient[:, 1] == 0).all()


@pytest.mark.parametrize("count", COUNTS)
def test_everything_masked_is_zero_with_zero_gradient(count, rng):
    loss = FeatureMeans(activation, KLSparsity(0.1), count)
    codes, _ = batch(rng)
    every, once = np.ones(6, bool), np.ones(6, np.float32)
    for where, weights in ((~every, once), (every, 0 * once)):
        value, gradient = jax.value_and_grad(loss)(codes * np.nan, where=where, weights=weights)
        assert value == 0
        assert (gradient == 0).all()
    assert loss(codes[:0]) == 0


def test_per_sample_is_the_loss_of_each_sample_alone(rng):
    A, Y = batch(rng)
    loss = FeatureMeans(squared_error, roots)
    alone = [loss(a[None], y[None]) for a, y in zip(A, Y, strict=True)]
    np.testing.assert_allclose(loss.per_sample(A, Y), alone, rtol=1e-6)


def test_weight_two_is_twice(rng):
    A, Y = batch(rng, (3, 2))
    loss = FeatureMeans(squared_error, largest)
    got = loss(A, Y, weights=np.float32([0, 2, 1]))
    assert got == pytest.approx(float(loss(A[[1, 1, 2]], Y[[1, 1, 2]])), rel=1e-6)


def test_an_error_that_is_not_elementwise_is_refused(rng):
    loss = FeatureMeans(lambda a, y: jnp.sum(a - y), roots)
    with pytest.raises(ValueError, match="one number for each element"):
        loss(*batch(rng))


def test_copies_are_equal_and_named():
    loss = FeatureMeans(squared_error, roots).documented("roots", "Roots.\n\nExample:\n    >>> 1\n")
    copied = pickle.loads(pickle.dumps(loss))
    assert copied == loss
    assert copied.name == "roots"
    assert repr(loss) == "FeatureMeans(squared_error, roots, count='weight')"


def test_means_add_and_scale():
    one = Means(jnp.array([6.0]), jnp.array([3.0]), jnp.array([1.0]))
    assert (one + one.scale(jnp.float32(2))).total.tolist() == [18]
    means, present = one.scale(jnp.float32(0)).value
    assert means.tolist() == [0]
    assert present.tolist() == [False]


def test_an_unknown_count_is_refused():
    loss = FeatureMeans(squared_error, roots)
    object.__setattr__(loss, "count", "some")  # the tests' type checker refuses it earlier
    with pytest.raises(ValueError, match="count is 'some', expected one of weight, valid, nonzero"):
        loss.__post_init__()
