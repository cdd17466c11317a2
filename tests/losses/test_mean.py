import dataclasses
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxae.losses import Mean, Rows, Statistic, Total


def mean(total, weight):
    return Mean(jnp.float32(total), jnp.float32(weight))


def test_means_add_before_they_divide():
    assert (mean(6, 3) + mean(4, 1)).value == (6 + 4) / (3 + 1)


def test_totals_add():
    assert (Total(jnp.float32(6)) + Total(jnp.float32(4))).value == 10


@pytest.mark.parametrize("make", [lambda x: Mean(x, jnp.ones_like(x)), Total])
def test_merging_a_stack_is_adding_its_parts(make):
    stack = jnp.arange(5, dtype=jnp.float32)
    merged, *parts = make(stack).merge(), *(make(x) for x in stack)
    assert merged.value == sum(parts[1:], start=parts[0]).value


def test_a_sample_that_counts_twice_is_two_samples():
    assert mean(6, 3).scale(jnp.float32(2)) == mean(6, 3) + mean(6, 3)


def test_a_sample_that_counts_zero_times_is_absent():
    assert (mean(6, 3) + mean(1e9, 7).scale(jnp.float32(0))).value == mean(6, 3).value


def test_nothing_divided_by_nothing_is_zero_with_zero_gradient():
    assert mean(0, 0).value == 0
    assert jax.grad(lambda total: Mean(total, jnp.float32(0)).value)(jnp.float32(0)) == 0


def test_a_mean_of_arrays_divides_each_element():
    value = Mean(jnp.array([6.0, 4.0]), jnp.array([3.0, 0.0])).value
    assert value.tolist() == [2, 0]


def test_statistics_are_pytrees():
    doubled = jax.tree.map(lambda x: 2 * x, mean(6, 3))
    assert doubled == mean(12, 6)


def test_a_statistic_without_a_value_says_so():
    with pytest.raises(NotImplementedError, match="Statistic defines no value"):
        _ = Statistic().value


def test_a_statistic_shows_the_numbers_it_was_made_of():
    assert repr(mean(6, 3)).startswith("Mean(total=Array(6., dtype=float32), weight=Array(3.")
    assert dataclasses.replace(mean(6, 3), total=jnp.float32(12)).value == 4


def test_what_a_statistic_sums_is_broadcast_to_what_is_added():
    merged = Mean(0.0, 0.0) + Mean(jnp.array([6.0, 4.0]), jnp.array([3.0, 0.0]))
    assert merged.value.tolist() == [2, 0]


def test_parts_sum_without_a_start():
    parts = [mean(6, 3), mean(4, 1)]
    assert sum(parts) == parts[0] + parts[1]
    rows = Rows(jnp.ones((2, 3)), jnp.ones(2))
    assert len(jax.tree.leaves(sum([rows, rows]))[0]) == 4


def test_statistics_of_two_kinds_do_not_add():
    rows = Rows(jnp.ones((2, 3)), jnp.ones(2))
    for a, b in ((mean(6, 3), Total(jnp.float32(1))), (rows, mean(6, 3)), (1, mean(6, 3))):
        with pytest.raises(TypeError, match=f"'{type(a).__name__}' and '{type(b).__name__}'"):
            operator.add(a, b)


def test_a_mean_of_axes_maps_means():
    totals = jnp.arange(6, dtype=jnp.float32)
    doubled = jax.vmap(lambda m: m + m, in_axes=(Mean(0, None),), out_axes=Mean(0, 0))
    assert doubled(Mean(totals, jnp.float32(2))).value.tolist() == (totals / 2).tolist()
    stacked = jax.vmap(lambda x: Mean(x, jnp.ones_like(x)), out_axes=Mean(0, 0))(totals)
    assert stacked.merge().value == totals.mean()


def test_a_mean_of_shardings_has_one_for_every_array():
    spec = PartitionSpec("batch")
    assert jax.tree.leaves(Mean(spec, spec)) == [spec] * 4
    assert jax.tree.structure(Mean(spec, spec)) == jax.tree.structure(mean(6, 3))
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,))

    @jax.shard_map(mesh=mesh, in_specs=spec, out_specs=Mean(PartitionSpec(), PartitionSpec()))
    def mean_of_all(x):
        return jax.lax.psum(Mean(x.sum(), jnp.float32(x.size)), "batch")

    assert mean_of_all(jnp.arange(4, dtype=jnp.float32)).value == 1.5


def test_numbers_of_python_and_numpy_add():
    for one in (Mean(6.0, 3.0), Mean(6, 3), Mean(np.float32(6), np.float32(3))):
        assert (one + mean(4, 1)).value == 2.5
        assert jax.jit(lambda m: m + m)(one).value == 2
