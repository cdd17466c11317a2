"""What the losses of Keras, torch and optax are here, and which of them are not."""

from collections.abc import Mapping

_MARGIN = "not here: a margin between classes, which reconstructs nothing"
_PAIRS = "not here: it compares samples with one another, and reconstructs none"
_ALIGNMENT = "not here: it aligns sequences of different lengths"
_SPARSE = "not here: a classifier's, whose probabilities may be 0"

_KERAS = {
    "MeanSquaredError": "squared_error",
    "MeanAbsoluteError": "absolute_error",
    "Huber": "HuberError(delta)",
    "LogCosh": "log_cosh_error",
    "MeanSquaredLogarithmicError": "squared_log_error",
    "MeanAbsolutePercentageError": "AbsolutePercentageError(KERAS_EPSILON)",
    "CosineSimilarity": "cosine_distance_of_vectors, less 1",
    "BinaryCrossentropy": "ClippedBinaryCrossEntropy(); of logits BinaryCrossEntropy()",
    "BinaryFocalCrossentropy": "FocalError() of logits, which are log p − log(1 − p)",
    "CategoricalCrossentropy": "ClippedCategoricalCrossEntropy(); of logits "
    "CategoricalCrossEntropy()",
    "SparseCategoricalCrossentropy": "ClippedCategoricalCrossEntropyFromClasses(); of logits "
    "categorical_cross_entropy_from_classes",
    "CategoricalFocalCrossentropy": "Scaled(ClippedCategoricalFocalError(), 0.25); of logits "
    "Scaled(CategoricalFocalError(), 0.25)",
    "KLDivergence": "LastAxisSum(ClippedKLDivergence())",
    "Poisson": "poisson_error of log(rate), less log y!",
    "Dice": "TverskyError(), of the axes of a sample",
    "Tversky": "TverskyError(alpha=beta, beta=alpha), of the axes of a sample",
    "Hinge": _MARGIN,
    "SquaredHinge": _MARGIN,
    "CategoricalHinge": _MARGIN,
    "CategoricalGeneralizedCrossEntropy": "not here: a classifier's, for labels that may be wrong",
    "Circle": _PAIRS,
    "CTC": _ALIGNMENT,
}
_TORCH = {
    "mse_loss": "squared_error",
    "l1_loss": "absolute_error",
    "huber_loss": "HuberError(delta)",
    "smooth_l1_loss": "Scaled(HuberError(beta), 1 / beta)",
    "binary_cross_entropy": "binary_cross_entropy_from_probabilities",
    "binary_cross_entropy_with_logits": "BinaryCrossEntropy(pos_weight)",
    "soft_margin_loss": "binary_cross_entropy of targets (1 + y)/2",
    "multilabel_soft_margin_loss": "LastAxisMean(binary_cross_entropy)",
    "cross_entropy": "categorical_cross_entropy_from_classes; of probabilities "
    "CategoricalCrossEntropy(label_smoothing)",
    "nll_loss": "categorical_cross_entropy_from_classes: log-probabilities are logits",
    "linear_cross_entropy": "categorical_cross_entropy_from_classes of a product",
    "kl_div": "kl_divergence_error; with log_target kl_divergence_error_from_log_targets",
    "poisson_nll_loss": "poisson_error, less log y!",
    "gaussian_nll_loss": "heteroscedastic_gaussian_error, less log(2π)/2; of variances, from 1e-6",
    "cosine_embedding_loss": "cosine_distance_of_vectors, where the target is 1",
    "hinge_embedding_loss": _MARGIN,
    "multi_margin_loss": _MARGIN,
    "multilabel_margin_loss": _MARGIN,
    "margin_ranking_loss": _PAIRS,
    "triplet_margin_loss": _PAIRS,
    "triplet_margin_with_distance_loss": _PAIRS,
    "ctc_loss": _ALIGNMENT,
}
_OPTAX = {
    "squared_error": "squared_error",
    "l2_loss": "Scaled(squared_error, 0.5)",
    "huber_loss": "HuberError(delta)",
    "log_cosh": "log_cosh_error",
    "cosine_distance": "cosine_distance_of_vectors",
    "cosine_similarity": "1 less cosine_distance_of_vectors",
    "sigmoid_binary_cross_entropy": "binary_cross_entropy",
    "sigmoid_focal_loss": "FocalError(gamma, alpha)",
    "softmax_cross_entropy": "categorical_cross_entropy",
    "safe_softmax_cross_entropy": "categorical_cross_entropy",
    "softmax_cross_entropy_with_integer_labels": "categorical_cross_entropy_from_classes",
    "smooth_labels": "CategoricalCrossEntropy(label_smoothing)",
    "poly_loss_cross_entropy": "categorical_cross_entropy, plus ε (1 − Σ y softmax(z))",
    "kl_divergence": "LastAxisSum(kl_divergence_error)",
    "kl_divergence_with_log_targets": "LastAxisSum(kl_divergence_error_from_log_targets)",
    "generalized_kl_divergence": "LastAxisSum(generalised_kl_divergence_error)",
    "convex_kl_divergence": "LastAxisSum(generalised_kl_divergence_error)",
    "dice_loss": "TverskyError(alpha, beta, smoothing=1), of each class",
    "binary_dice_loss": "TverskyError(smoothing=1)",
    "multiclass_generalized_dice_loss": "not here: its weights are functions of the batch",
    "hinge_loss": _MARGIN,
    "perceptron_loss": _MARGIN,
    "multiclass_hinge_loss": _MARGIN,
    "multiclass_perceptron_loss": _MARGIN,
    "sparsemax_loss": _SPARSE,
    "multiclass_sparsemax_loss": _SPARSE,
    "make_fenchel_young_loss": _SPARSE,
    "ntxent": _PAIRS,
    "triplet_margin_loss": _PAIRS,
    "ranking_softmax_loss": _PAIRS,
    "ctc_loss": _ALIGNMENT,
    "ctc_loss_with_forward_probs": _ALIGNMENT,
}

NAMES: Mapping[str, str] = {
    f"{module}.{name}": here
    for module, names in (
        ("keras.losses", _KERAS),
        ("torch.nn.functional", _TORCH),
        ("optax.losses", _OPTAX),
    )
    for name, here in names.items()
}
"""Every loss of keras 3.15.1, torch 2.13.0 and optax 0.2.8, and the error that computes it."""
