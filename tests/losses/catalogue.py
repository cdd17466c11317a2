"""The public losses, and what each is asked with: the contract's one list."""

import dataclasses

import numpy as np
import pytest

import jaxae.losses
from jaxae.losses import (
    BaseLoss,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    ClippedBinaryCrossEntropy,
    ClippedCategoricalFocalError,
    FocalError,
    FreeBitsError,
    HuberError,
    Loss,
    MultiScaleStructuralDissimilarity,
    PerceptualError,
    SharedScaleGaussian,
    SpectralError,
    absolute_activation,
    capacity,
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
ELEMENTWISE = {name: x for name, x in LOSSES.items() if event_of(x.error).elementwise}
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
# Whose targets are rounded to levels, so that its gradient by them is 0.
ROUNDED = {"discretised_logistic_nll"}
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


def moving(loss, arrays):
    """By which of its arrays a loss has a gradient."""
    floating = [np.issubdtype(x.dtype, np.floating) for x in arrays]
    return floating[:1] + [x and name_of(loss) not in ROUNDED for x in floating[1:]]


def moved(loss, arrays):
    return tuple(x for x, moves in zip(arrays, moving(loss, arrays), strict=True) if moves)


def built_again(loss):
    """An equal loss from its constructor, whose error is built again as well."""
    fields = {x.name: getattr(loss, x.name) for x in dataclasses.fields(loss) if x.init}
    error = fields.get("error")
    if dataclasses.is_dataclass(error):
        fields["error"] = dataclasses.replace(error)
    return type(loss)(**fields)


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


def extremes(loss):
    """Every combination of extreme arguments of one error: columns of the numbers it takes."""
    event, (_, *others) = event_of(loss.error), parameters_of(loss.error)
    predicted = PREDICTED.get(name_of(loss), 2) if event.prediction else 1
    axes = [PREDICTIONS.get(name_of(loss), EXTREMES)] * predicted
    axes += [TARGETS.get(name_of(loss), EXTREMES)] * len(others)
    return [x.ravel() for x in np.meshgrid(*axes)]


def arguments(loss, columns):
    """The arrays of an error from columns of the numbers it takes: a prediction's side by side."""
    _, *others = parameters_of(loss.error)
    predicted = len(columns) - len(others)
    first = np.stack(columns[:predicted], -1) if event_of(loss.error).prediction else columns[0]
    return first, *columns[predicted:]


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
