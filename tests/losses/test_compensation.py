"""Sums of statistics: no number of additions loses digits, of values or of derivatives."""

import copy
import dataclasses
import functools
import operator
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import Mean, Total

PIECES = 100_000


def mean(total, weight):
    return Mean(jnp.float32(total), jnp.float32(weight))


def nothing(statistic):
    return jax.tree.map(jnp.zeros_like, statistic)


@jax.jit
def added_one_by_one(totals, weights):
    """The Mean of these parts, added in a scan."""
    parts = Mean(totals, weights)
    one = jax.tree.map(operator.itemgetter(0), parts)
    return jax.lax.scan(lambda merged, part: (merged + part, None), nothing(one), parts)[0]


def scanned(totals, weights):
    return added_one_by_one(totals, weights).value


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 2e-7), (np.float64, 1e-15)])
def test_a_hundred_thousand_parts_add_in_a_scan_without_losing_digits(dtype, limit, rng):
    totals, weights = rng.exponential(size=(2, PIECES)).astype(dtype)
    exact = [float(x.astype(np.longdouble).sum()) for x in (totals, weights)]
    with jax.enable_x64(dtype == np.float64):
        merged = added_one_by_one(totals, weights)
        slopes = jax.jit(jax.grad(scanned))(totals, weights)
        moved = jax.jvp(scanned, (totals, weights), (totals, np.zeros_like(weights)))
    np.testing.assert_allclose([merged.total, merged.weight], exact, rtol=limit)
    np.testing.assert_allclose(slopes, 1 / exact[1], rtol=limit)
    np.testing.assert_allclose(moved, exact[0] / exact[1], rtol=2 * limit)
    plain = np.add.accumulate(totals)[-1]
    assert abs(plain / exact[0] - 1) > limit, "the plain sum would do"


def test_equal_parts_add_eagerly_without_losing_digits():
    merged = functools.reduce(operator.add, [mean(0.3, 785.1)] * 30_000)
    exact = [30_000 * float(np.float32(x)) for x in (0.3, 785.1)]
    np.testing.assert_allclose([merged.total, merged.weight], exact, rtol=1e-7)


def test_many_parts_that_are_stacked_merge_without_losing_digits(rng):
    stack = rng.exponential(size=(10 * PIECES, 2)).astype(np.float32)
    np.testing.assert_allclose(Total(stack).merge().value, stack.sum(0, float), rtol=5e-7)


def test_parts_that_cancel_leave_what_is_small_even_where_xla_knows_them():
    merged = functools.reduce(operator.add, [mean(x, 1) for x in (3, 1e8, -1e8)])
    assert merged.total == 3

    @jax.jit
    def among_constants(total):
        return mean(1e8, 1) + Mean(total, jnp.float32(1)) + mean(-1e8, 1)

    assert among_constants(jnp.float32(3)).total == 3


def test_derivatives_by_parts_are_those_of_the_sum_to_any_order():
    @jax.jit
    def total(x):
        return functools.reduce(operator.add, [Total(a * x**2) for a in (8, 3, -4)]).value

    for order in (jax.grad, jax.jacfwd, jax.hessian, lambda f: jax.grad(jax.grad(f))):
        assert order(total)(jnp.float32(1)) == 14


def test_parts_that_are_vmapped_add_as_they_do_one_by_one(rng):
    totals, weights = rng.exponential(size=(2, 3, 20)).astype(np.float32)
    merged = jax.vmap(added_one_by_one)(totals, weights)
    loop = [added_one_by_one(*parts) for parts in zip(totals, weights, strict=True)]
    chex.assert_trees_all_equal(merged, jax.tree.map(lambda *x: jnp.stack(x), *loop))


def test_infinite_totals_stay_infinite_and_nan_stays_nan():
    for first, second, expected in (
        (3e38, 3e38, np.inf),
        (np.inf, 1, np.inf),
        (1, -np.inf, -np.inf),
        (np.inf, -np.inf, np.nan),
        (np.nan, 1, np.nan),
    ):
        merged = mean(first, 1) + mean(second, 1) + mean(5, 1)
        np.testing.assert_equal([float(merged.total), float(merged.weight)], [expected, 3])
        slope = jax.grad(lambda x, y=second: (mean(y, 1) + Mean(x, jnp.float32(1))).value)
        assert slope(jnp.float32(first)) == 0.5


def test_what_rounding_has_taken_survives_copies_and_scales():
    merged = mean(1e8, 1) + mean(3, 1)
    for same in (
        pickle.loads(pickle.dumps(merged)),
        copy.deepcopy(merged),
        dataclasses.replace(merged),
        jax.tree.map(lambda x: x, merged),
    ):
        chex.assert_trees_all_equal(same, merged)
        assert (same + mean(-1e8, 1)).total == 3
    assert (merged.scale(jnp.float32(2)) + mean(-2e8, 1)).total == 6
