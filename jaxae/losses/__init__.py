"""Reconstruction losses that mean exactly what they say.

A loss is an elementwise error with a denominator that is named. It takes predictions first, targets
second, and returns a scalar:

>>> import jax, jax.numpy as jnp
>>> from jaxae.losses import Loss, bce, mae, mse, squared_error, sse, sse_per_sample
>>> A = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
>>> Y = jnp.array([[1.0, 0.0, 0.0], [4.0, 5.0, 0.0]])

There is one sum; what differs is what it is divided by: everything, the samples, or nothing.

>>> float(sse(A, Y)), float(sse_per_sample(A, Y)), round(float(mse(A, Y)), 6)
(49.0, 24.5, 8.166667)

Masks and weights cover a prefix of the targets' axes, here the samples. Weight 0 is absent, and
weight 2 is twice:

>>> float(sse_per_sample(A, Y, where=jnp.array([True, False])))
13.0
>>> float(sse_per_sample(A, Y, weights=jnp.array([2.0, 0.0])))
13.0

The gradient is the textbook's, 2(A − Y)/(N·C):

>>> bool(jnp.allclose(jax.grad(mse)(A, Y), 2 * (A - Y) / A.size))
True

Parts of the data add up to the whole, however they are cut:

>>> parts = mse.merged(A[:1], Y[:1]) + mse.merged(A[1:], Y[1:])
>>> round(float(parts.value), 6)
8.166667

A loss of your own is an elementwise error and a denominator. An error called alone checks nothing:
shapes and dtypes are checked, and short floats converted, by the loss that is made of it.

>>> def cubic_error(prediction, target):
...     return abs(prediction - target) ** 3
>>> float(Loss(cubic_error, unit="sample")(A, Y))
125.5

Binary cross-entropy takes logits, and works on targets between 0 and 1. Its smallest value there is
the targets' entropy, not zero:

>>> grey = jnp.full((1, 4), 0.5)
>>> round(float(bce(jnp.zeros((1, 4)), grey)), 6)
0.693147
"""

from jaxae.losses import conventions as conventions
from jaxae.losses._base import BaseLoss as BaseLoss
from jaxae.losses._bernoulli import (
    BinaryCrossEntropy as BinaryCrossEntropy,
    bce as bce,
    bernoulli as bernoulli,
    bernoulli_nll as bernoulli_nll,
    binary_cross_entropy as binary_cross_entropy,
)
from jaxae.losses._bernoulli_probabilities import (
    ClippedBinaryCrossEntropy as ClippedBinaryCrossEntropy,
    bce_from_probabilities as bce_from_probabilities,
    binary_cross_entropy_from_probabilities as binary_cross_entropy_from_probabilities,
)
from jaxae.losses._categorical import (
    CategoricalCrossEntropy as CategoricalCrossEntropy,
    categorical as categorical,
    categorical_cross_entropy as categorical_cross_entropy,
    categorical_cross_entropy_from_classes as categorical_cross_entropy_from_classes,
    cce as cce,
    cce_from_classes as cce_from_classes,
    mean_class as mean_class,
)
from jaxae.losses._categorical_focal import (
    CategoricalFocalError as CategoricalFocalError,
    ClippedCategoricalFocalError as ClippedCategoricalFocalError,
    categorical_focal as categorical_focal,
)
from jaxae.losses._categorical_probabilities import (
    ClippedCategoricalCrossEntropy as ClippedCategoricalCrossEntropy,
    ClippedCategoricalCrossEntropyFromClasses as ClippedCategoricalCrossEntropyFromClasses,
    cce_from_probabilities as cce_from_probabilities,
    cce_from_probabilities_and_classes as cce_from_probabilities_and_classes,
)
from jaxae.losses._compensation import add_compensated as add_compensated
from jaxae.losses._continuous_bernoulli import (
    continuous_bernoulli as continuous_bernoulli,
    continuous_bernoulli_error as continuous_bernoulli_error,
    continuous_bernoulli_nll as continuous_bernoulli_nll,
)
from jaxae.losses._contractive import (
    contractive_penalty as contractive_penalty,
    hutchinson_penalty as hutchinson_penalty,
)
from jaxae.losses._cosine import (
    cosine as cosine,
    cosine_distance as cosine_distance,
    cosine_distance_of_vectors as cosine_distance_of_vectors,
)
from jaxae.losses._discretised_logistic import (
    DiscretisedLogisticError as DiscretisedLogisticError,
    discretised_logistic as discretised_logistic,
    discretised_logistic_nll as discretised_logistic_nll,
)
from jaxae.losses._divergence import (
    ClippedKLDivergence as ClippedKLDivergence,
    generalised_kl_divergence as generalised_kl_divergence,
    generalised_kl_divergence_error as generalised_kl_divergence_error,
    kl_divergence as kl_divergence,
    kl_divergence_error as kl_divergence_error,
    kl_divergence_error_from_log_targets as kl_divergence_error_from_log_targets,
    kl_divergence_from_probabilities as kl_divergence_from_probabilities,
)
from jaxae.losses._entropy import (
    bce_excess as bce_excess,
    bce_excess_from_probabilities as bce_excess_from_probabilities,
    bce_floor as bce_floor,
    binary_entropy as binary_entropy,
    binary_excess as binary_excess,
    binary_excess_from_probabilities as binary_excess_from_probabilities,
)
from jaxae.losses._error import (
    Event as Event,
    closed_form as closed_form,
    derivative_of as derivative_of,
    event_of as event_of,
    from_logits as from_logits,
    identity as identity,
    link_of as link_of,
    reads as reads,
    takes as takes,
)
from jaxae.losses._feature_mean import (
    FeatureMeans as FeatureMeans,
    Means as Means,
)
from jaxae.losses._focal import (
    FocalError as FocalError,
    focal as focal,
)
from jaxae.losses._free_bits import (
    Capacity as Capacity,
    FreeBits as FreeBits,
    FreeBitsError as FreeBitsError,
    capacity as capacity,
    free_bits as free_bits,
)
from jaxae.losses._frequency import (
    FocalFrequencyError as FocalFrequencyError,
    focal_frequency as focal_frequency,
)
from jaxae.losses._gaussian import (
    GaussianError as GaussianError,
    gaussian as gaussian,
    gaussian_nll as gaussian_nll,
    heteroscedastic_gaussian_error as heteroscedastic_gaussian_error,
    learned_gaussian as learned_gaussian,
    learned_gaussian_nll as learned_gaussian_nll,
)
from jaxae.losses._gradient import (
    Residuals as Residuals,
    analytic_gradient as analytic_gradient,
    backward as backward,
    forward as forward,
)
from jaxae.losses._gradient_check import (
    Difference as Difference,
    GradientReport as GradientReport,
    check_gradient as check_gradient,
)
from jaxae.losses._kernels import (
    RBF as RBF,
    InverseMultiquadric as InverseMultiquadric,
    KernelSum as KernelSum,
)
from jaxae.losses._kl import (
    gaussian_kl as gaussian_kl,
    gaussian_kl_between as gaussian_kl_between,
    gaussian_kl_between_error as gaussian_kl_between_error,
    gaussian_kl_error as gaussian_kl_error,
)
from jaxae.losses._laplace import (
    LaplaceError as LaplaceError,
    laplace as laplace,
    laplace_nll as laplace_nll,
)
from jaxae.losses._likelihood import Likelihood as Likelihood
from jaxae.losses._loss import Loss as Loss
from jaxae.losses._mean import (
    Mean as Mean,
    Rows as Rows,
    Statistic as Statistic,
    Sums as Sums,
    Total as Total,
)
from jaxae.losses._negative_binomial import (
    negative_binomial as negative_binomial,
    negative_binomial_error as negative_binomial_error,
    negative_binomial_nll as negative_binomial_nll,
)
from jaxae.losses._overlap import (
    TverskyError as TverskyError,
    dice as dice,
    tversky as tversky,
)
from jaxae.losses._pairwise import (
    MaximumMeanDiscrepancy as MaximumMeanDiscrepancy,
    PairwiseLoss as PairwiseLoss,
    mean_of_pairs as mean_of_pairs,
    mmd as mmd,
)
from jaxae.losses._perceptual import PerceptualError as PerceptualError
from jaxae.losses._poisson import (
    poisson as poisson,
    poisson_error as poisson_error,
    poisson_nll as poisson_nll,
)
from jaxae.losses._quantile import (
    QuantileError as QuantileError,
    pinball as pinball,
)
from jaxae.losses._quantisation import (
    codebook as codebook,
    codebook_error as codebook_error,
    commitment as commitment,
    commitment_error as commitment_error,
)
from jaxae.losses._registry import (
    LIKELIHOODS as LIKELIHOODS,
    LOSSES as LOSSES,
    likelihood_for as likelihood_for,
)
from jaxae.losses._regression import (
    absolute_error as absolute_error,
    mae as mae,
    mse as mse,
    squared_error as squared_error,
    sse as sse,
    sse_per_sample as sse_per_sample,
)
from jaxae.losses._relative import (
    AbsolutePercentageError as AbsolutePercentageError,
    mape as mape,
    msle as msle,
    squared_log_error as squared_log_error,
)
from jaxae.losses._robust import (
    CharbonnierError as CharbonnierError,
    HuberError as HuberError,
    charbonnier as charbonnier,
    huber as huber,
    log_cosh as log_cosh,
    log_cosh_error as log_cosh_error,
)
from jaxae.losses._shared_scale import (
    SharedScaleGaussian as SharedScaleGaussian,
    shared_gaussian_nll as shared_gaussian_nll,
)
from jaxae.losses._sparsity import (
    KLSparsity as KLSparsity,
    absolute_activation as absolute_activation,
    activation as activation,
    activation_from_logits as activation_from_logits,
    kl_sparsity as kl_sparsity,
    l1 as l1,
)
from jaxae.losses._spectral import (
    SpectralError as SpectralError,
    multi_scale_spectral as multi_scale_spectral,
)
from jaxae.losses._ssim import (
    MultiScaleStructuralDissimilarity as MultiScaleStructuralDissimilarity,
    StructuralDissimilarity as StructuralDissimilarity,
    ms_ssim as ms_ssim,
    ssim as ssim,
    structural_similarity as structural_similarity,
)
from jaxae.losses._student_t import (
    StudentTError as StudentTError,
    student_t as student_t,
    student_t_nll as student_t_nll,
)
from jaxae.losses._total_correlation import (
    TotalCorrelation as TotalCorrelation,
    posterior_log_ratios as posterior_log_ratios,
    total_correlation as total_correlation,
)
from jaxae.losses._variation import (
    GradientDifference as GradientDifference,
    TotalVariation as TotalVariation,
    gradient_difference as gradient_difference,
    total_variation as total_variation,
)
from jaxae.losses._zero_inflated import (
    zero_inflated_negative_binomial as zero_inflated_negative_binomial,
    zero_inflated_negative_binomial_error as zero_inflated_negative_binomial_error,
    zero_inflated_negative_binomial_nll as zero_inflated_negative_binomial_nll,
)
