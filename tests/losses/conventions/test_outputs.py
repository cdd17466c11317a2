import copy
import functools
import operator
import pickle
from fractions import Fraction

import chex
import jax
import numpy as np
import pytest

from jaxae.losses import bce, mse, squared_error, sse_per_sample
from jaxae.losses.conventions import KERAS_3, SeveralOutputs

LOSSES = {"image": sse_per_sample, "label": bce}
LOSS = SeveralOutputs(LOSSES, weights={"label": 0.25})


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


def outputs(rng):
    shapes = {"image": (4, 3, 3), "label": (4, 2)}
    return tuple(
        {name: rng.random(shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(2)
    )


def test_is_the_weighted_sum_of_the_outputs_losses(rng):
    P, T = outputs(rng)
    image, label = (LOSSES[name](P[name], T[name]) for name in ("image", "label"))
    assert LOSS(P, T) == pytest.approx(float(image + 0.25 * label), rel=1e-6)
    assert LOSS.each(P, T) == {"image": image, "label": label}


def test_each_output_has_its_own_mask_and_weights(rng):
    P, T = outputs(rng)
    where = {"image": rng.random((4, 3)) > 0.5}
    weights = {"label": rng.random(4).astype(np.float32)}
    image = sse_per_sample(P["image"], T["image"], where=where["image"])
    label = bce(P["label"], T["label"], weights=weights["label"])
    got = LOSS(P, T, where=where, weights=weights)
    assert got == pytest.approx(float(image + 0.25 * label), rel=1e-6)


def test_gradients_are_those_of_the_outputs(rng):
    P, T = outputs(rng)
    gradients = jax.grad(LOSS)(P, T)
    np.testing.assert_allclose(gradients["image"], 2 * (P["image"] - T["image"]) / 4, rtol=1e-5)
    label = jax.grad(bce)(P["label"], T["label"])
    np.testing.assert_allclose(gradients["label"], 0.25 * label, rtol=1e-6)


def covered(rng):
    """Outputs, a mask of one and weights of the other."""
    where = {"image": rng.random((4, 3)) > 0.3}
    weights = {"label": np.array([1, 0, 2, 0.5], np.float32)}
    return outputs(rng), {"where": where, "weights": weights}


def test_parts_of_the_data_add_however_they_are_cut(rng):
    arrays, masks = covered(rng)

    @jax.jit
    @jax.value_and_grad
    def cut(P, T, masks):
        cuts = slice(0, 1), slice(1, 1), slice(1, 4)
        parts = [jax.tree.map(operator.itemgetter(part), (P, T, masks)) for part in cuts]
        merged = functools.reduce(operator.add, [LOSS.merged(P, T, **m) for P, T, m in parts])
        return LOSS.finish(merged.value)

    expected = jax.value_and_grad(LOSS)(*arrays, **masks)
    chex.assert_trees_all_close(cut(*arrays, masks), expected, rtol=2e-6)


def test_is_written_for_one_sample_and_merged(rng):
    arrays, masks = covered(rng)
    each = jax.vmap(lambda P, T, masks: LOSS.mean(P, T, **masks))(*arrays, masks)
    assert LOSS.finish(each.merge().value) == pytest.approx(float(LOSS(*arrays, **masks)), rel=1e-6)
    counts = np.array([1, 0, 2, 0], np.float32)
    twice = jax.vmap(lambda statistic, count: statistic.scale(count))(each, counts)
    rows = jax.tree.map(lambda x: x[[0, 2, 2]], (*arrays, masks))
    expected = LOSS(*rows[:2], **rows[2])
    assert LOSS.finish(twice.merge().value) == pytest.approx(float(expected), rel=1e-6)


def test_each_samples_own_loss_is_that_of_a_batch_of_it_alone(rng):
    arrays, masks = covered(rng)
    each = [operator.itemgetter(slice(i, i + 1)) for i in range(4)]
    alone = [jax.tree.map(one, (*arrays, masks)) for one in each]
    loop = [LOSS(P, T, **masks) for P, T, masks in alone]
    np.testing.assert_allclose(LOSS.per_sample(*arrays, **masks), loop, rtol=1e-6)


def test_an_equal_one_built_again_compiles_once(rng):
    @functools.partial(jax.jit, static_argnums=0)
    @chex.assert_max_traces(n=1)
    def value(loss, P, T):
        return loss(P, T)

    P, T = outputs(rng)
    reordered = dict(reversed(LOSSES.items()))
    same = SeveralOutputs(reordered, weights={"label": 0.25, "image": 1.0})
    assert value(LOSS, P, T) == value(same, P, T)
    assert LOSS == same != SeveralOutputs(LOSSES)
    for copied in (copy.deepcopy(LOSS), pickle.loads(pickle.dumps(LOSS))):
        assert copied == LOSS


def test_one_output_is_its_loss(rng):
    P, T = outputs(rng)
    image = {"image": P["image"]}, {"image": T["image"]}
    loss = SeveralOutputs({"image": KERAS_3(squared_error)})
    assert loss(*image) == mse(P["image"], T["image"])


@pytest.mark.parametrize("what", ["predictions", "targets", "where", "weights"])
def test_names_that_differ_are_named(what, rng):
    P, T = outputs(rng)
    arguments = {"predictions": P, "targets": T, "where": {}, "weights": {}}
    arguments[what] = {**arguments[what], "lable": np.ones(4)}
    with pytest.raises(ValueError, match=f"{what} names .*the outputs image, label: lable has no"):
        LOSS(**arguments)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("what", ["predictions", "targets", "where", "weights"])
def test_what_is_no_mapping_is_named(what, rng):
    P, T = outputs(rng)
    for wrong in ([np.ones(4)], np.ones((4, 3))):
        arguments = {"predictions": P, "targets": T, what: wrong}
        message = f"^{what} is .*, expected a mapping by the outputs' names, .* image, label"
        with pytest.raises(TypeError, match=message):
            LOSS(**arguments)
    with pytest.raises(TypeError, match=r"^weights is .*, expected a mapping"):
        SeveralOutputs(LOSSES, weights=[1.0])


@pytest.mark.usefixtures("unchecked")
def test_a_weight_that_is_a_fraction_is_a_number(rng):
    loss = SeveralOutputs(LOSSES, weights={"label": Fraction(1, 4)})
    arguments = outputs(rng)
    assert loss(*arguments) == LOSS(*arguments)
    assert loss == SeveralOutputs(LOSSES, weights={"label": 0.25})


@pytest.mark.parametrize("what", ["predictions", "targets"])
def test_names_that_are_missing_are_named(what, rng):
    P, T = outputs(rng)
    arguments = {"predictions": P, "targets": T}
    del arguments[what]["label"]
    with pytest.raises(ValueError, match=f"{what} names image, .*: label is missing"):
        LOSS(**arguments)


def test_a_weight_without_a_loss_is_refused():
    with pytest.raises(ValueError, match=r"weights names lable, .*: lable has no loss"):
        SeveralOutputs(LOSSES, weights={"lable": 1.0})


def test_no_losses_are_refused():
    with pytest.raises(ValueError, match="got no losses"):
        SeveralOutputs({})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        ([mse, bce], TypeError, "expected a mapping from outputs' names to their losses"),
        ({"image": squared_error}, TypeError, "the loss of 'image' is .*, expected a loss; of a"),
        ({"image": "mse"}, TypeError, "the loss of 'image' is 'mse', expected a loss"),
    ],
)
def test_what_are_no_losses_is_refused(losses, error, message):
    with pytest.raises(error, match=message):
        SeveralOutputs(losses)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), "1"])
def test_a_weight_that_is_no_number_of_times_is_refused(weight):
    with pytest.raises((TypeError, ValueError), match=r"weights\['label'\] is .*, expected a"):
        SeveralOutputs(LOSSES, weights={"label": weight})


def test_repr_says_what_it_is():
    assert "0.25·label: Loss(binary_cross_entropy" in repr(LOSS)
