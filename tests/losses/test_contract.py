"""The same questions of every public loss, from one list: whatever `jaxae.losses` exports."""

import copy
import dataclasses
import functools
import os
import pickle
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import jaxae.losses
from jaxae.losses import (
    BaseLoss,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    ClippedBinaryCrossEntropy,
    ClippedCategoricalFocalError,
    Event,
    FocalError,
    FreeBitsError,
    HuberError,
    Loss,
    MultiScaleStructuralDissimilarity,
    PerceptualError,
    Rows,
    SharedScaleGaussian,
    SpectralError,
    absolute_activation,
    capacity,
    check_gradient,
    cosine_distance_of_vectors,
    event_of,
    free_bits,
    kl_divergence_error_from_log_targets,
    kl_sparsity,
)
from jaxae.losses._error import parameters_of

READY = {x.name: x for x in vars(jaxae.losses).values() if isinstance(x, BaseLoss)}
# Ready-made losses of large samples are asked in a small form, whose code is the same, and classes
# without a ready-made loss, or with hyperparameters that change the formula, in one form.
SMALL = {
    "ms_ssim": Loss(MultiScaleStructuralDissimilarity(weights=(0.4, 0.6), window=5)),
    "multi_scale_spectral": Loss(SpectralError(windows=(16, 8))),
}
MORE = {
    "capacity": capacity(0.5),
    "categorical_focal_clipped": Loss(ClippedCategoricalFocalError(0.5)),
    "cce_smoothed": Loss(CategoricalCrossEntropy(label_smoothing=0.1)),
    "cosine_of_vectors": Loss(cosine_distance_of_vectors),
    "bce_weighted": Loss(BinaryCrossEntropy(pos_weight=2.5, label_smoothing=0.1)),
    "bce_clipped": Loss(ClippedBinaryCrossEntropy()),
    "free_bits": free_bits(0.2),
    "free_bits_per_sample": Loss(FreeBitsError(0.2), unit="sample"),
    "focal_balanced": Loss(FocalError(gamma=1.5, alpha=0.25)),
    "huber_linear": Loss(HuberError(delta=0.05), unit="sample"),
    "kl_from_log_targets": Loss(kl_divergence_error_from_log_targets),
    "kl_sparsity": kl_sparsity(0.05),
    "perceptual": Loss(PerceptualError(absolute_activation)),
    "shared_gaussian_nll_per_element": SharedScaleGaussian("element"),
}
LOSSES = READY | SMALL | MORE
PAIRWISE = {"mmd", "total_correlation"}
ADDING = {name: loss for name, loss in LOSSES.items() if name not in PAIRWISE}
ELEMENTWISE = {name: x for name, x in LOSSES.items() if event_of(x.error) == Event()}
CLOSED = {n: x for n, x in LOSSES.items() if isinstance(x, Loss) and hasattr(x.error, "derivative")}
# Samples that are not five numbers, and how many numbers are predicted for one if not two.
SHAPES = {
    "ssim": (12, 13),
    "ms_ssim": (10, 11),
    "focal_frequency": (4, 6),
    "multi_scale_spectral": (40,),
    "total_variation": (4, 5),
    "gradient_difference": (4, 5),
}
# Whose gradient holds a part constant by definition, so that it is no finite difference.
STOPPED = {"codebook", "commitment", "focal_frequency"}
PREDICTED = {
    **dict.fromkeys(("cce_from_classes", "cce_from_probabilities_and_classes"), 5),
    "zero_inflated_negative_binomial_nll": 3,
}
SAMPLES = 8
WEIGHTS = np.array([0, 2, 1, 2, 1, 0, 1, 1], np.float32)
REPEATED = np.array([1, 1, 2, 3, 3, 4, 6, 7])
WHERE = np.array([True, False, True, True, False, True, True, False])


def of_every(losses):
    return pytest.mark.parametrize("loss", losses.values(), ids=losses.keys())


def name_of(loss):
    return next(name for name, x in LOSSES.items() if x is loss)


def example(loss, samples=SAMPLES, dtype=np.float32):
    """What a loss takes: first arrays in (0.1, 0.4), others in (0.6, 0.9), where all are smooth."""
    rng = np.random.default_rng(0)
    event, shape = event_of(loss.error), (samples, *SHAPES.get(name_of(loss), (5,)))
    more = () if event.prediction == event.target else (PREDICTED.get(name_of(loss), 2),)
    _, *others = parameters_of(loss.error)
    arrays = [rng.uniform(0.1, 0.4, shape + more).astype(dtype)]
    for _ in others:
        target = rng.uniform(0.6, 0.9, shape).astype(dtype)
        arrays.append(rng.integers(0, 5, shape, np.int32) if event.classes else target)
    return tuple(arrays)


def about(x, rel=2e-6):
    return pytest.approx(float(x), rel=rel, abs=1e-7)


@functools.partial(jax.jit, static_argnums=0)
def value_and_gradient(loss, arrays, where, weights):
    """One compilation of a loss serves all questions on its masks and weights."""
    return jax.value_and_grad(lambda first: loss(first, *arrays[1:], where=where, weights=weights))(
        arrays[0]
    )


@pytest.fixture
def eager(request):
    """Operations one by one, which losses share, where there are few: nothing to compile."""
    with jax.disable_jit(name_of(request.node.callspec.params["loss"]) not in SHAPES):
        yield


EVERY, ONCE = np.ones(SAMPLES, bool), np.ones(SAMPLES, np.float32)


@of_every(LOSSES)
def test_is_a_scalar_and_the_same_without_jit(loss):
    arrays = example(loss)
    value, _ = value_and_gradient(loss, arrays, EVERY, ONCE)
    assert value.shape == ()
    assert value.dtype == jnp.float32
    with jax.disable_jit():
        assert value == about(loss(*arrays))


@of_every(LOSSES)
def test_a_mask_is_the_subset(loss):
    arrays = example(loss)
    value, gradient = value_and_gradient(loss, arrays, WHERE, ONCE)
    assert value == about(loss(*(x[WHERE] for x in arrays)))
    assert (gradient[~WHERE] == 0).all()


@of_every(LOSSES)
def test_weight_zero_is_absent_and_weight_two_is_twice(loss):
    arrays = example(loss)
    value, gradient = value_and_gradient(loss, arrays, EVERY, WEIGHTS)
    repeated, _ = value_and_gradient(loss, tuple(x[REPEATED] for x in arrays), EVERY, ONCE)
    assert value == about(repeated)
    assert (gradient[WEIGHTS == 0] == 0).all()


@of_every(LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_masked_or_weighs_nothing_cannot_touch_the_result(loss, bad):
    arrays = example(loss)
    expected = value_and_gradient(loss, arrays, WHERE, WEIGHTS)
    absent = ~WHERE | (WEIGHTS == 0)
    spoilt = tuple(x.copy() for x in arrays)
    for x in spoilt:
        x[absent] = -9 if x.dtype == np.int32 else bad
    weights = np.where(WHERE, WEIGHTS, bad).astype(np.float32)
    got = value_and_gradient(loss, spoilt, WHERE, weights)
    chex.assert_trees_all_equal(got, expected)
    assert np.isfinite(got[1]).all()
    assert (got[1][absent] == 0).all()


@of_every(ELEMENTWISE)
def test_masks_and_weights_reach_single_numbers(loss):
    arrays = example(loss)
    rng = np.random.default_rng(2)
    where, weights = rng.random(arrays[0].shape) > 0.3, rng.integers(0, 3, arrays[0].shape)
    weights = weights.astype(np.float32)
    expected = value_and_gradient(loss, arrays, where, weights)
    absent = ~where | (weights == 0)
    spoilt = tuple(np.where(absent, np.float32(np.nan), x) for x in arrays)
    got = value_and_gradient(loss, spoilt, where, weights)
    chex.assert_trees_all_equal(got, expected)
    assert (got[1][absent] == 0).all()


@of_every(LOSSES)
def test_everything_masked_is_zero_with_zero_gradient(loss):
    arrays = example(loss)
    spoilt = (arrays[0] * np.nan, *arrays[1:])
    for where, weights in ((~EVERY, ONCE), (EVERY, 0 * ONCE)):
        value, gradient = value_and_gradient(loss, spoilt, where, weights)
        assert value == 0
        assert (gradient == 0).all()


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
        whole, _ = value_and_gradient(loss, arrays, EVERY, ONCE)
    assert loss.finish((halves[0] + halves[1]).value) == about(whole)


@of_every(LOSSES)
def test_losses_of_many_batches_are_vmapped(loss):
    batches = tuple(np.stack([x, np.roll(x, 1, axis=-1)]) for x in example(loss))
    loop = [loss(*(x[i] for x in batches)) for i in range(2)]
    np.testing.assert_allclose(jax.vmap(loss)(*batches), loop, rtol=2e-6, atol=1e-7)


@of_every({name: x for name, x in LOSSES.items() if name not in STOPPED})
@pytest.mark.usefixtures("eager")
def test_derivatives_in_every_mode_agree_with_finite_differences_to_second_order(loss):
    """Of the gradient as well, by reverse over reverse and by forward over reverse."""
    tolerance = 1e-3 if name_of(loss) == "multi_scale_spectral" else None  # it is rough
    with jax.enable_x64(True):
        first, *others = example(loss, 2, np.float64)
        weights = np.array([0.5, 2.0])
        check_grads(
            lambda x: loss(x, *others, weights=weights),
            (first,),
            order=2,
            modes=["fwd", "rev"],
            atol=tolerance,
            rtol=tolerance,
        )


@of_every({n: x for n, x in LOSSES.items() if n not in STOPPED})
def test_no_example_is_where_the_gradient_is_zero(loss):
    _, gradient = value_and_gradient(loss, example(loss), EVERY, ONCE)
    assert abs(gradient).max() > 1e-6


def test_elementwise_losses_have_closed_forms():
    assert {n for n, x in ELEMENTWISE.items() if isinstance(x, Loss)} <= set(CLOSED)


@of_every(CLOSED)
@pytest.mark.usefixtures("eager")
def test_the_closed_form_of_the_gradient_is_its_gradient(loss):
    arrays = example(loss)
    where = np.arange(SAMPLES) != 2
    report = check_gradient(loss, *arrays, points=10, where=where, weights=WEIGHTS)
    # Where the parts of a slope cancel, what counts is the size of the parts.
    with jax.disable_jit(False):
        largest = abs(value_and_gradient(loss, arrays, where, WEIGHTS)[1]).max()
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
def test_masks_and_weights_of_square_batches_belong_to_samples(loss):
    arrays = tuple(np.resize(x, (3, 3, 3)) for x in example(loss))
    first = np.array([1, 0, 0], np.float32)
    expected = loss(*(x[:1] for x in arrays))
    assert value_and_gradient(loss, arrays, EVERY[:3], first)[0] == about(expected)
    assert value_and_gradient(loss, arrays, first > 0, ONCE[:3])[0] == about(expected)


def built_again(loss):
    """An equal loss from its constructor, whose error is built again as well."""
    fields = {x.name: getattr(loss, x.name) for x in dataclasses.fields(loss) if x.init}
    error = fields.get("error")
    if dataclasses.is_dataclass(error):
        fields["error"] = dataclasses.replace(error)
    return type(loss)(**fields)


@of_every(LOSSES)
def test_an_equal_loss_or_new_values_are_not_compiled_again(loss):
    arrays = example(loss)
    value_and_gradient(loss, arrays, EVERY, ONCE)
    compiled = value_and_gradient._cache_size()
    for equal in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), built_again(loss)):
        assert equal == loss
        assert hash(equal) == hash(loss)
        value_and_gradient(equal, tuple(x + x for x in arrays), ~EVERY, WEIGHTS)
    assert value_and_gradient._cache_size() == compiled
    value_and_gradient(loss, tuple(x[:1] for x in arrays), EVERY[:1], ONCE[:1])
    assert value_and_gradient._cache_size() == compiled + 1, "the count does not count"


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


def test_samples_on_four_devices_give_the_same_value_and_gradient(tmp_path):
    for name, loss in LOSSES.items():
        arrays = example(loss)
        value, gradient = value_and_gradient(loss, arrays, WHERE, WEIGHTS)
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


EXTREMES = np.float32([0, 1, 0.5, -1, 1e4, -1e4, 1e30, -1e30, 1e-40, -1e-40])
UNIT = EXTREMES[[0, 1, 2, 8]]
COUNTS = np.float32([0, 1, 7, 1e4, 1e30])
# Where a prediction or a target is a probability or a count, and where it is any number.
PREDICTIONS = dict.fromkeys(
    (
        *("bce_from_probabilities", "bce_clipped", "bce_excess_from_probabilities", "bce_floor"),
        "kl_divergence_from_probabilities",
    ),
    UNIT,
)
TARGETS = {
    **dict.fromkeys(("bce", "bernoulli_nll", "bce_from_probabilities", "focal"), UNIT),
    **dict.fromkeys(("bce_excess", "bce_excess_from_probabilities"), UNIT),
    **dict.fromkeys(("bce_weighted", "bce_clipped", "focal_balanced", "cce", "cce_smoothed"), UNIT),
    **dict.fromkeys(("continuous_bernoulli_nll", "discretised_logistic_nll"), UNIT),
    **dict.fromkeys(("cce_from_probabilities", "categorical_focal"), UNIT),
    "categorical_focal_clipped": UNIT,
    **dict.fromkeys(("kl_divergence", "kl_divergence_from_probabilities"), UNIT),
    **dict.fromkeys(("poisson_nll", "negative_binomial_nll", "generalised_kl_divergence"), COUNTS),
    "zero_inflated_negative_binomial_nll": COUNTS,
    "kl_from_log_targets": EXTREMES[EXTREMES <= 0],
}
OF_NUMBERS = {
    name: x
    for name, x in LOSSES.items()
    if not event_of(x.error).target
    and not event_of(x.error).classes
    and event_of(x.error).target is not None
}


def extremes(loss):
    """Every combination of extreme arguments of one error."""
    event, (_, *others) = event_of(loss.error), parameters_of(loss.error)
    predicted = PREDICTED.get(name_of(loss), 2) if event.prediction else 1
    axes = [PREDICTIONS.get(name_of(loss), EXTREMES)] * predicted
    axes += [TARGETS.get(name_of(loss), EXTREMES)] * len(others)
    grid = [x.ravel() for x in np.meshgrid(*axes)]
    first = np.stack(grid[:predicted], -1) if event.prediction else grid[0]
    return first, *grid[predicted:]


# The clip of bce_clipped, 1 − 1e-7, is another number in float64: its own test asks this of it.
def flushed(x):
    """`x` as XLA on CPU reads it: a subnormal number is 0."""
    return np.where(abs(x) < np.finfo(np.float32).tiny, 0, x)


@of_every({name: x for name, x in OF_NUMBERS.items() if name != "bce_clipped"})
def test_extremes_are_rounded_or_infinite_and_never_nan(loss):
    arrays = extremes(loss)
    got = np.asarray(jax.jit(loss.error)(*arrays))
    assert not np.isnan(got).any(), [x[np.isnan(got)] for x in arrays]
    right = np.zeros(got.shape, bool)
    for read in (arrays, tuple(flushed(x) for x in arrays)):
        with jax.enable_x64(True), np.errstate(all="ignore"):
            exact = np.asarray(loss.error(*(jnp.asarray(x, jnp.float64) for x in read)))
            expected = exact.astype(np.float32)
            right |= np.isclose(got, expected, rtol=2e-6, atol=1e-37)
    assert right.all(), [x[~right] for x in (*arrays, got)]


@of_every(OF_NUMBERS)
def test_gradients_are_finite_everywhere(loss):
    first, *others = extremes(loss)
    gradient = jax.jit(jax.vmap(jax.grad(lambda *arrays: loss.error(*arrays).sum())))
    got = np.asarray(gradient(first, *others))
    assert np.isfinite(got).all(), [
        x[~np.isfinite(got).reshape(len(x), -1).all(1)] for x in (first, *others)
    ]


def whole_extremes(loss):
    """Batches whose samples hold extreme numbers: each one alone, and all of them mixed."""
    rng, usual = np.random.default_rng(3), example(loss)
    firsts = PREDICTIONS.get(name_of(loss), EXTREMES)
    others = TARGETS.get(name_of(loss), EXTREMES)
    for pick in (
        *(lambda pool, shape, i=i: np.full(shape, pool[i % len(pool)]) for i in range(10)),
        rng.choice,
    ):
        first = pick(firsts, usual[0].shape)
        rest = [x if x.dtype == np.int32 else pick(others, x.shape) for x in usual[1:]]
        yield (first, *usual[1:])
        yield (usual[0], *rest)
        yield (first, *rest)


@of_every(LOSSES)
def test_whole_losses_of_extremes_are_not_nan_and_their_gradients_finite(loss):
    for arrays in whole_extremes(loss):
        value, gradient = value_and_gradient(loss, arrays, EVERY, ONCE)
        assert not jnp.isnan(value), arrays
        assert jnp.isfinite(gradient).all(), arrays
