"""The same questions of every public loss, from one list: whatever `jaxae.losses` exports."""

import copy
import functools
import os
import pickle
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxae.losses import Loss, Rows, check_gradient
from tests.losses.catalogue import (
    ADDING,
    CLOSED,
    ELEMENTWISE,
    LOSSES,
    PAIRWISE,
    REPEATED,
    SAMPLES,
    SHAPES,
    STOPPED,
    WEIGHTS,
    WHERE,
    about,
    built_again,
    example,
    moved,
    moving,
    name_of,
    of_every,
    whole_extremes,
)


def value_of(loss, arrays, where, moved, weights):
    """The loss as a function of those of its arrays that it has a gradient by, and of weights."""
    others = iter(moved)
    moves = moving(loss, arrays)
    arrays = (next(others) if m else x for x, m in zip(arrays, moves, strict=True))
    return loss(*arrays, where=where, weights=weights)


@functools.partial(jax.jit, static_argnums=0)
def value_and_gradients(loss, arrays, where, weights):
    """The loss and its gradients by every array that it has one by, the weights last.

    One compilation of a loss serves all questions on its masks and weights.
    """
    value = functools.partial(value_of, loss, arrays, where)
    value, (gradients, by_weights) = jax.value_and_grad(value, (0, 1))(moved(loss, arrays), weights)
    return value, (*gradients, by_weights)


def vanish(gradients, absent):
    return all((x[absent] == 0).all() for x in gradients)


def are_finite(gradients):
    return all(np.isfinite(x).all() for x in gradients)


@pytest.fixture
def eager(request):
    """Operations one by one, which losses share, where there are few: nothing to compile."""
    with jax.disable_jit(name_of(request.node.callspec.params["loss"]) not in SHAPES):
        yield


EVERY, ONCE = np.ones(SAMPLES, bool), np.ones(SAMPLES, np.float32)


@of_every(LOSSES)
def test_is_a_scalar_and_the_same_without_jit(loss):
    arrays = example(loss)
    value, _ = value_and_gradients(loss, arrays, EVERY, ONCE)
    assert value.shape == ()
    assert value.dtype == jnp.float32
    with jax.disable_jit():
        assert value == about(loss(*arrays))


@of_every(LOSSES)
def test_a_mask_is_the_subset(loss):
    arrays = example(loss)
    value, gradients = value_and_gradients(loss, arrays, WHERE, ONCE)
    assert value == about(loss(*(x[WHERE] for x in arrays)))
    assert vanish(gradients, ~WHERE)


@of_every(LOSSES)
def test_weight_zero_is_absent_and_weight_two_is_twice(loss):
    arrays = example(loss)
    value, gradients = value_and_gradients(loss, arrays, EVERY, WEIGHTS)
    repeated, _ = value_and_gradients(loss, tuple(x[REPEATED] for x in arrays), EVERY, ONCE)
    assert value == about(repeated)
    assert vanish(gradients, WEIGHTS == 0)


@of_every(LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_masked_or_weighs_nothing_cannot_touch_the_result(loss, bad):
    arrays = example(loss)
    expected = value_and_gradients(loss, arrays, WHERE, WEIGHTS)
    absent = ~WHERE | (WEIGHTS == 0)
    spoilt = tuple(x.copy() for x in arrays)
    for x in spoilt:
        x[absent] = -9 if x.dtype == np.int32 else bad
    weights = np.where(WHERE, WEIGHTS, bad).astype(np.float32)
    got = value_and_gradients(loss, spoilt, WHERE, weights)
    chex.assert_trees_all_equal(got, expected)
    # A value alone is masked otherwise than one with its gradients.
    assert loss(*spoilt, where=WHERE, weights=weights) == about(expected[0])
    assert are_finite(got[1])
    assert vanish(got[1], absent)


@of_every(ELEMENTWISE)
def test_masks_and_weights_reach_single_numbers(loss):
    arrays = example(loss)
    rng = np.random.default_rng(2)
    where, weights = rng.random(arrays[0].shape) > 0.3, rng.integers(0, 3, arrays[0].shape)
    weights = weights.astype(np.float32)
    expected = value_and_gradients(loss, arrays, where, weights)
    absent = ~where | (weights == 0)
    spoilt = tuple(np.where(absent, np.float32(np.nan), x) for x in arrays)
    got = value_and_gradients(loss, spoilt, where, weights)
    chex.assert_trees_all_equal(got, expected)
    assert vanish(got[1], absent)


@of_every(LOSSES)
def test_everything_masked_is_zero_with_zero_gradient(loss):
    arrays = example(loss)
    spoilt = tuple(x if x.dtype == np.int32 else x * np.float32(np.nan) for x in arrays)
    for where, weights in ((~EVERY, ONCE), (EVERY, 0 * ONCE)):
        value, gradients = value_and_gradients(loss, spoilt, where, weights)
        assert value == 0
        assert vanish(gradients, EVERY)


@of_every(LOSSES)
def test_an_empty_batch_is_zero(loss):
    assert loss(*(x[:0] for x in example(loss))) == 0


@of_every(ADDING)
def test_each_samples_own_loss_is_a_loop(loss):
    arrays = example(loss)
    loop = [loss(*(x[i : i + 1] for x in arrays)) for i in range(SAMPLES)]
    np.testing.assert_allclose(loss.per_sample(*arrays), loop, rtol=2e-6, atol=1e-7)


@of_every({n: x for n, x in ADDING.items() if isinstance(x, Loss)})
def test_the_mean_of_the_samples_own_losses_is_the_loss(loss):
    arrays = example(loss)
    each = loss.per_sample(*arrays)
    whole = jnp.sum(each) if loss.unit == "total" else jnp.mean(each)
    assert loss(*arrays) == about(whole)


@of_every(LOSSES)
@pytest.mark.usefixtures("eager")
def test_parts_of_the_data_add_up_to_the_whole(loss):
    arrays = example(loss)
    halves = [loss.merged(*(x[half] for x in arrays)) for half in (slice(0, 4), slice(4, 8))]
    with jax.disable_jit(False):
        whole, _ = value_and_gradients(loss, arrays, EVERY, ONCE)
    assert loss.finish((halves[0] + halves[1]).value) == about(whole)


@of_every(LOSSES)
def test_losses_of_many_batches_are_vmapped(loss):
    batches = tuple(np.stack([x, np.roll(x, 1, axis=-1)]) for x in example(loss))
    loop = [loss(*(x[i] for x in batches)) for i in range(2)]
    np.testing.assert_allclose(jax.vmap(loss)(*batches), loop, rtol=2e-6, atol=1e-7)


# Whose third derivatives are large, so that finite differences have fewer digits.
ROUGH = {"multi_scale_spectral": 3e-3, "cce_from_probabilities": 2e-4}
ROUGH["categorical_focal_clipped"] = ROUGH["cce_from_probabilities"]


def derivatives(function, at, along, across):
    """The derivative along a direction forward, backward times another one, and by differences."""
    _, forward = jax.jvp(function, at, along)
    _, pull_back = jax.vjp(function, *at)
    beside = [jax.tree.map(lambda x, t, e=e: x + e * t, at, along) for e in (1e-6, -1e-6)]
    ahead, behind = (function(*x) for x in beside)
    differences = jax.tree.map(lambda a, b: (a - b) / 2e-6, ahead, behind)
    return forward, optax.tree.vdot(pull_back(across), along), differences


@functools.partial(jax.jit, static_argnums=0)
def both_orders(loss, arrays, weights, along, across):
    """`derivatives` of the value, and of the gradient: reverse and forward over reverse."""
    value = functools.partial(value_of, loss, arrays, None)
    at = (moved(loss, arrays), weights)
    first = derivatives(value, at, along, jnp.ones(()))
    return first, derivatives(jax.grad(value, argnums=(0, 1)), at, along, across)


@of_every({name: x for name, x in LOSSES.items() if name not in STOPPED})
def test_derivatives_in_every_mode_agree_with_finite_differences_to_second_order(loss, rng, eager):
    """Of the gradient as well, by reverse over reverse and by forward over reverse."""
    tolerance = ROUGH.get(name_of(loss), 1e-5)
    with jax.enable_x64(True):
        arrays, weights = example(loss, 2, np.float64), np.array([0.5, 2.0])
        at = (moved(loss, arrays), weights)
        along, across = (jax.tree.map(lambda x: rng.normal(size=x.shape), at) for _ in range(2))
        orders = both_orders(loss, arrays, weights, along, across)
        for (forward, backward, differences), times in zip(orders, (1.0, across), strict=True):
            expected = optax.tree.vdot(times, differences)
            chex.assert_trees_all_close(forward, differences, atol=tolerance, rtol=tolerance)
            np.testing.assert_allclose(backward, expected, atol=tolerance, rtol=tolerance)


@of_every({n: x for n, x in LOSSES.items() if n not in STOPPED})
def test_no_example_is_where_the_gradient_is_zero(loss):
    _, gradients = value_and_gradients(loss, example(loss), EVERY, ONCE)
    assert all(abs(x).max() > 1e-6 for x in gradients)


def test_elementwise_losses_have_closed_forms():
    assert {n for n, x in ELEMENTWISE.items() if isinstance(x, Loss)} <= set(CLOSED)


@of_every(CLOSED)
@pytest.mark.usefixtures("eager")
def test_the_closed_form_of_the_gradient_is_its_gradient(loss):
    arrays = example(loss)
    where = np.arange(SAMPLES) != 2
    report = check_gradient(loss, *arrays, points=3, where=where, weights=WEIGHTS)
    # Where the parts of a slope cancel, what counts is the size of the parts.
    with jax.disable_jit(False):
        largest = abs(value_and_gradients(loss, arrays, where, WEIGHTS)[1][0]).max()
    assert report.closed_form.absolute <= 4 * np.spacing(np.float32(largest))
    if name_of(loss) not in STOPPED:
        assert report.central_differences.absolute <= 1e-6 * largest


@of_every(LOSSES)
@pytest.mark.usefixtures("eager")
def test_short_floats_are_converted_before_the_error(loss):
    arrays = example(loss)
    for dtype in (jnp.float16, jnp.bfloat16):
        short = [x if x.dtype == np.int32 else jnp.asarray(x, dtype) for x in arrays]
        long = [x if x.dtype == np.int32 else x.astype(jnp.float32) for x in short]
        value = loss(*short)
        assert value.dtype == jnp.float32
        assert value == loss(*long)


@of_every(ELEMENTWISE)
@pytest.mark.usefixtures("eager")
def test_masks_and_weights_of_square_batches_belong_to_samples(loss):
    arrays = tuple(np.resize(x, (3, 3, 3)) for x in example(loss))
    first = np.array([1, 0, 0], np.float32)
    expected = loss(*(x[:1] for x in arrays))
    assert loss(*arrays, weights=first) == about(expected)
    assert loss(*arrays, where=first > 0) == about(expected)


@of_every(LOSSES)
def test_an_equal_loss_or_new_values_are_not_compiled_again(loss):
    arrays = example(loss)
    value_and_gradients(loss, arrays, EVERY, ONCE)
    compiled = value_and_gradients._cache_size()
    for equal in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), built_again(loss)):
        assert equal == loss
        assert hash(equal) == hash(loss)
        value_and_gradients(equal, tuple(x + x for x in arrays), ~EVERY, WEIGHTS)
    assert value_and_gradients._cache_size() == compiled


def test_new_shapes_are_counted_as_compiled():
    """The test above could not fail if they were not."""
    compiled = value_and_gradients._cache_size()
    arrays = example(LOSSES["mse"], 1)
    value_and_gradients(LOSSES["mse"], arrays, EVERY[:1], ONCE[:1])
    assert value_and_gradients._cache_size() == compiled + 1


SHARDED = """
import pickle, sys, numpy as np, jax
mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
for path in sys.argv[1:]:
    with np.load(path) as file:
        loss = pickle.loads(file["loss"].tobytes())
        arrays = [file[f"array{i}"] for i in range(int(file["arrays"]))]
        arrays += [file["where"], file["weights"]]
        *arrays, where, weights = jax.device_put(arrays, sharding)
        assert len(arrays[0].sharding.device_set) == 4
        compiled = jax.jit(jax.value_and_grad(loss))
        value, gradient = compiled(*arrays, where=where, weights=weights)
        assert np.allclose(value, file["value"], rtol=2e-6, atol=1e-7), (loss, value)
        largest = abs(file["gradient"]).max()
        assert abs(gradient - file["gradient"]).max() <= 4e-6 * largest, (loss, gradient)
"""


def test_samples_on_four_devices_give_the_same_value_and_gradients(tmp_path):
    for name, loss in LOSSES.items():
        arrays = example(loss)
        value, (gradient, *_) = value_and_gradients(loss, arrays, WHERE, WEIGHTS)
        rows = {f"array{i}": x for i, x in enumerate(arrays)}
        rows |= {"where": WHERE, "weights": WEIGHTS}
        pickled = np.frombuffer(pickle.dumps(loss), np.uint8)
        head = {"loss": pickled, "arrays": len(arrays), "value": value, "gradient": gradient}
        np.savez(tmp_path / f"{name}.npz", **head, **rows)
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    paths = [str(path) for path in tmp_path.glob("*.npz")]
    subprocess.run([sys.executable, "-c", SHARDED, *paths], env=os.environ | flags, check=True)


def test_pairwise_losses_are_those_that_keep_rows():
    merged = {n: jax.eval_shape(x.merged, *example(x)) for n, x in LOSSES.items()}
    kept = {n for n, x in merged.items() if isinstance(x, Rows)}
    assert kept == PAIRWISE


@of_every(LOSSES)
def test_whole_losses_of_extremes_are_not_nan_and_their_gradients_finite(loss):
    for arrays in whole_extremes(loss):
        value, (*gradients, _) = value_and_gradients(loss, arrays, EVERY, ONCE)
        assert not jnp.isnan(value), arrays
        assert are_finite(gradients), arrays
