"""What each library's losses are here: the table that golden numbers are read with."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.losses import (
    AbsolutePercentageError,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    CategoricalFocalError,
    ClippedBinaryCrossEntropy,
    ClippedCategoricalCrossEntropy,
    ClippedCategoricalCrossEntropyFromClasses,
    ClippedCategoricalFocalError,
    ClippedKLDivergence,
    Event,
    FocalError,
    HuberError,
    TverskyError,
    absolute_error,
    binary_cross_entropy,
    binary_cross_entropy_from_probabilities,
    categorical_cross_entropy,
    categorical_cross_entropy_from_classes,
    cosine_distance_of_vectors,
    generalised_kl_divergence_error,
    heteroscedastic_gaussian_error,
    kl_divergence_error,
    kl_divergence_error_from_log_targets,
    log_cosh_error,
    poisson_error,
    squared_error,
    squared_log_error,
    takes,
)
from jaxae.losses.conventions import (
    KERAS_3,
    KERAS_3_SUM,
    KERAS_3_WEIGHTED,
    KERAS_EPSILON,
    TORCH_BATCHMEAN,
    TORCH_MEAN,
    TORCH_SUM,
    LastAxisMean,
    LastAxisSum,
    Scaled,
)

TORCH_EPSILON = 1e-8  # of poisson_nll_loss


def keras_binary(from_logits=False, label_smoothing=0.0):
    if from_logits:
        return BinaryCrossEntropy(label_smoothing=label_smoothing)
    return ClippedBinaryCrossEntropy(KERAS_EPSILON, label_smoothing)


def keras_binary_focal(from_logits=False, gamma=2.0, alpha=None, apply_class_balancing=False):
    """From a probability it is that of its logit, which `BEFORE` takes."""
    return FocalError(gamma, alpha if apply_class_balancing else None)


def keras_categorical(from_logits=False, label_smoothing=0.0):
    if from_logits:
        return CategoricalCrossEntropy(label_smoothing)
    return ClippedCategoricalCrossEntropy(KERAS_EPSILON, label_smoothing)


def keras_sparse(from_logits=False):
    if from_logits:
        return categorical_cross_entropy_from_classes
    return ClippedCategoricalCrossEntropyFromClasses(KERAS_EPSILON)


def keras_categorical_focal(from_logits=False, gamma=2.0, alpha=0.25, label_smoothing=0.0):
    """A weight of all classes, a quarter unless given, is a factor."""
    error = CategoricalFocalError if from_logits else ClippedCategoricalFocalError
    if isinstance(alpha, list):
        return error(gamma, tuple(alpha), label_smoothing)
    return Scaled(error(gamma, label_smoothing=label_smoothing), alpha)


def without_factorial(log_rate, target):
    """Libraries leave out log y!, a constant."""
    return poisson_error(log_rate, target) - jax.lax.lgamma(target + 1)


def with_stirling(log_rate, target):
    """torch has Stirling's approximation of log y!, from 2 on."""
    many = jnp.maximum(target, 2)
    stirling = many * jnp.log(many) - many + 0.5 * jnp.log(2 * np.pi * many)
    return without_factorial(log_rate, target) + jnp.where(target > 1, stirling, 0)


def of_rate(epsilon):
    """The rate − y log(rate + ε), where log_rate = log(rate + ε)."""
    return lambda log_rate, target: without_factorial(log_rate, target) - epsilon


def torch_poisson(log_input, full):
    if full:
        return with_stirling
    return without_factorial if log_input else of_rate(TORCH_EPSILON)


@takes(Event(1, 1))
def minus_cosine(prediction, target):
    return cosine_distance_of_vectors(prediction, target) - 1


def keras_tversky(axis, alpha=0.5, beta=0.5):
    """Keras's alpha weighs Σ (1 − p)y, the false negatives, though its help says positives."""
    return TverskyError(alpha=beta, beta=alpha)


def gaussian(full):
    """torch leaves out ½ log 2π unless it is asked for."""
    constant = 0 if full else 0.5 * np.log(2 * np.pi)

    def error(mean, log_variance, target):
        return (
            heteroscedastic_gaussian_error(jnp.stack([mean, log_variance], -1), target) - constant
        )

    return error


def torch_kl(log_target):
    return kl_divergence_error_from_log_targets if log_target else kl_divergence_error


def soft_margin(logits, sign):
    """Binary cross-entropy of targets −1 and 1."""
    return binary_cross_entropy(logits, 0.5 * (1 + sign))


def poly(logits, target):
    """Cross-entropy, and the probability of the other classes twice."""
    p = jax.nn.softmax(logits)
    return categorical_cross_entropy(logits, target) + 2 * (target * (1 - p)).sum(-1)


def optax_dice(alpha, beta):
    """The mean of what each class is, whose shape of a sample is the steps'."""
    of_classes = jax.vmap(TverskyError(alpha, beta, smoothing=1.0), in_axes=-1)
    of_samples = jax.vmap(of_classes)
    return lambda logits, target: of_samples(jax.nn.softmax(logits), target).mean(-1)


def optax_binary_dice(logits, target):
    return jax.vmap(TverskyError(smoothing=1.0))(jax.nn.sigmoid(logits), target)


# What each library calls an error, and the options that it takes.
ERRORS = {
    "keras": {
        "MeanSquaredError": lambda: squared_error,
        "MeanAbsoluteError": lambda: absolute_error,
        "Huber": HuberError,
        "LogCosh": lambda: log_cosh_error,
        "MeanSquaredLogarithmicError": lambda: squared_log_error,
        "MeanAbsolutePercentageError": lambda: AbsolutePercentageError(KERAS_EPSILON),
        "BinaryCrossentropy": keras_binary,
        "BinaryFocalCrossentropy": keras_binary_focal,
        "CategoricalCrossentropy": keras_categorical,
        "CategoricalFocalCrossentropy": keras_categorical_focal,
        "SparseCategoricalCrossentropy": keras_sparse,
        "KLDivergence": lambda: LastAxisSum(ClippedKLDivergence(KERAS_EPSILON)),
        "Poisson": lambda: of_rate(KERAS_EPSILON),
        "CosineSimilarity": lambda: minus_cosine,
        "Dice": keras_tversky,
        "Tversky": keras_tversky,
    },
    "torch": {
        "mse_loss": lambda: squared_error,
        "l1_loss": lambda: absolute_error,
        "huber_loss": HuberError,
        "smooth_l1_loss": lambda beta: Scaled(HuberError(beta), 1 / beta),
        "binary_cross_entropy": lambda: binary_cross_entropy_from_probabilities,
        "binary_cross_entropy_with_logits": BinaryCrossEntropy,
        "multilabel_soft_margin_loss": lambda: LastAxisMean(binary_cross_entropy),
        "soft_margin_loss": lambda: soft_margin,
        "kl_div": torch_kl,
        "poisson_nll_loss": torch_poisson,
        "gaussian_nll_loss": gaussian,
        "cosine_embedding_loss": lambda: cosine_distance_of_vectors,
    },
    "optax": {
        "squared_error": lambda: squared_error,
        "l2_loss": lambda: Scaled(squared_error, 0.5),
        "huber_loss": HuberError,
        "log_cosh": lambda: log_cosh_error,
        "sigmoid_binary_cross_entropy": lambda: binary_cross_entropy,
        "sigmoid_focal_loss": FocalError,
        "softmax_cross_entropy": lambda: categorical_cross_entropy,
        "softmax_cross_entropy_with_integer_labels": lambda: categorical_cross_entropy_from_classes,
        "safe_softmax_cross_entropy": lambda: categorical_cross_entropy,
        "cosine_distance": lambda: cosine_distance_of_vectors,
        "cosine_similarity": lambda: lambda *x: 1 - cosine_distance_of_vectors(*x),
        "poly_loss_cross_entropy": lambda: poly,
        "dice_loss": optax_dice,
        "binary_dice_loss": lambda: optax_binary_dice,
        "kl_divergence": lambda: LastAxisSum(kl_divergence_error),
        "kl_divergence_with_log_targets": lambda: LastAxisSum(kl_divergence_error_from_log_targets),
        "generalized_kl_divergence": lambda: LastAxisSum(generalised_kl_divergence_error),
    },
}


def before(case):
    """What is done to the prediction before the error, where the library does it itself."""
    options = case["options"]
    if case["loss"] == "Poisson":
        return lambda rate: jnp.log(rate + KERAS_EPSILON)
    if case["loss"] == "poisson_nll_loss" and not options["log_input"]:
        return lambda rate: jnp.log(rate + TORCH_EPSILON)
    if case["loss"] == "BinaryFocalCrossentropy" and not options.get("from_logits"):
        return lambda p: jnp.log(p) - jnp.log1p(-p)
    if case["loss"] == "nll_loss":
        return jax.nn.log_softmax
    if options.get("axis", ()) is None:
        # Without axes the whole batch is one sample, whatever the reduction: another number.
        return lambda x: x[None]
    return lambda x: x


CONVENTIONS = {
    "keras": {
        "sum_over_batch_size": KERAS_3,
        "mean": KERAS_3,
        "mean_with_sample_weight": KERAS_3_WEIGHTED,
        "sum": KERAS_3_SUM,
    },
    "optax": {},
    "torch": {"mean": TORCH_MEAN, "sum": TORCH_SUM, "batchmean": TORCH_BATCHMEAN},
}
# Of torch's losses, those whose mean divides by the weights; the others divide by numel.
WEIGHTED = ("mse_loss", "l1_loss")
OF_CLASSES = ("cross_entropy", "nll_loss")
