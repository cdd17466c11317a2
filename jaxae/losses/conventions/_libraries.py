"""What each library prints: one row for each, as it was read from the library's source."""

from collections.abc import Iterable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._mean import Statistic
from jaxae.losses.conventions._convention import Convention, check_convention
from jaxae.losses.conventions._keras_2_2 import KERAS_2_2
from jaxae.losses.conventions._keras_3_sum import KERAS_3_SUM

_TORCH = "torch 2.13.0, documentation of torch.nn's losses"

OPTAX = Convention(
    "OPTAX",
    "ℓ, elementwise: no reduction, no weights, no mask",
    "optax 0.2.8, losses/_regression.py and _classification.py",
    unit="none",
)
OPTAX_L2 = Convention(
    "OPTAX_L2",
    "½ℓ, elementwise: l2_loss is half the squared error",
    "optax 0.2.8, losses/_regression.py, l2_loss",
    unit="none",
    factor=0.5,
)
KERAS_2_3 = Convention(
    "KERAS_2_3",
    "Σmwℓ/numel: the mask is not in the denominator",
    "Keras 2.3 and TF-Keras 2, keras/utils/losses_utils.py",
    count="all",
)
KERAS_3 = Convention(
    "KERAS_3",
    "Σwℓ/numel; with a mask Σmwℓ/Σm",
    'keras 3.15.1, keras/src/losses/loss.py, reduction="sum_over_batch_size" or "mean"',
    count="valid",
)
KERAS_3_WEIGHTED = Convention(
    "KERAS_3_WEIGHTED",
    "Σmwℓ/Σmw",
    'keras 3.15.1, keras/src/losses/loss.py, reduction="mean_with_sample_weight"',
)
TORCH_MEAN = Convention(
    "TORCH_MEAN",
    "Σwℓ/numel: weight and pos_weight of BCE, weight of huber_loss are not in the denominator",
    f'{_TORCH}, reduction="mean"',
    count="all",
)
TORCH_SUM = Convention("TORCH_SUM", "Σwℓ", f'{_TORCH}, reduction="sum"', unit="total")
TORCH_NONE = Convention(
    "TORCH_NONE", "ℓ, elementwise: no reduction", f'{_TORCH}, reduction="none"', unit="none"
)
TORCH_BATCHMEAN = Convention(
    "TORCH_BATCHMEAN",
    "Σℓ/N: the Kullback-Leibler divergence, where its mean is not",
    f'{_TORCH}, KLDivLoss, reduction="batchmean"',
    unit="sample",
    count="all",
)
TORCH_WEIGHTED_MEAN = Convention(
    "TORCH_WEIGHTED_MEAN",
    "Σmwℓ/Σmw: weight of mse_loss and l1_loss, class weights and ignore_index of cross_entropy",
    'torch 2.13.0, torch/nn/functional.py, mse_loss, l1_loss, cross_entropy, reduction="mean"',
)
PYTHAE_AE = Convention(
    "PYTHAE_AE",
    "Σℓ/N; an epoch prints the mean of its batches' means (mean_of_means)",
    "Pythae, pythae/models/ae/ae_model.py, trainers/base_trainer/base_trainer.py",
    unit="sample",
)
PYTHAE_VAE = Convention(
    "PYTHAE_VAE",
    "½Σℓ/N; an epoch prints the mean of its batches' means (mean_of_means)",
    "Pythae, pythae/models/vae/vae_model.py, trainers/base_trainer/base_trainer.py",
    unit="sample",
    factor=0.5,
)
SAELENS = Convention(
    "SAELENS", "Σℓ/N: summed over the activation's width", "SAELens, sae.py", unit="sample"
)
DICTIONARY_LEARNING = Convention(
    "DICTIONARY_LEARNING",
    "Σℓ/N: summed over the activation's width",
    "dictionary_learning, trainers/*.py",
    unit="sample",
)
DIFFUSERS_AUTOENCODER_KL = Convention(
    "DIFFUSERS_AUTOENCODER_KL",
    "Σℓ/N, of reconstruction + LPIPS and of KL",
    "diffusers, examples/research_projects/autoencoderkl/train_autoencoderkl.py",
    unit="sample",
)
SCVI = Convention(
    "SCVI",
    "Σℓ/N: nats of a cell, averaged over cells",
    "scvi-tools, scvi/module/_vae.py",
    unit="sample",
)
PYOD_VAE = Convention(
    "PYOD_VAE",
    "Σℓ/numel, of the reconstruction only",
    "PyOD 3.6.7, pyod/models/vae.py, vae_loss",
)
HINTON_2006 = Convention(
    "HINTON_2006",
    "Σℓ/N: summed per image, averaged over images",
    "Hinton & Salakhutdinov, Science 313, 2006, Fig. 2",
    unit="sample",
)
KERAS_VAE = Convention(
    "KERAS_VAE",
    "Σℓ/N: summed over pixels and latents",
    "Keras's example, generative/vae.py",
    unit="sample",
)
FLAX_LINEN_VAE = Convention(
    "FLAX_LINEN_VAE",
    "Σℓ/N: summed over pixels and latents",
    "Flax's example, examples/vae/train.py",
    unit="sample",
)
FLAX_NNX_VAE = Convention(
    "FLAX_NNX_VAE",
    "Σℓ/numel: averaged over pixels and latents",
    "Flax's example, examples/nnx_toy_examples/05_vae.py",
)

CONVENTIONS: Mapping[str, Convention] = {
    convention.name: convention
    for convention in (
        OPTAX,
        OPTAX_L2,
        KERAS_2_2,
        KERAS_2_3,
        KERAS_3,
        KERAS_3_WEIGHTED,
        KERAS_3_SUM,
        TORCH_MEAN,
        TORCH_SUM,
        TORCH_NONE,
        TORCH_BATCHMEAN,
        TORCH_WEIGHTED_MEAN,
        PYTHAE_AE,
        PYTHAE_VAE,
        SAELENS,
        DICTIONARY_LEARNING,
        DIFFUSERS_AUTOENCODER_KL,
        SCVI,
        PYOD_VAE,
        HINTON_2006,
        KERAS_VAE,
        FLAX_LINEN_VAE,
        FLAX_NNX_VAE,
    )
}


# What is no reduction of one error, but belongs to the table.
_SEVERAL_OUTPUTS = (
    *("SeveralOutputs", "-", "-", "-"),
    "Σ loss_weight·loss over the outputs, each loss reduced in a way of its own",
    "keras 3.15.1, keras/src/trainers/compile_utils.py, CompileLoss",
)


def table(conventions: Iterable[Convention] | None = None) -> str:
    """The conventions as text, one line each: name, factor, unit, count, formula and source.

    Args:
        conventions: the rows; unless given, all that are named, and the loss of several outputs.

    Raises:
        TypeError: a row that is no Convention.

    Example:
        >>> print(table([KERAS_3, TORCH_SUM]))
        name       factor  unit     count   value                            read from
        KERAS_3    1       element  valid   Σwℓ/numel; with a mask Σmwℓ/Σm   keras 3.15.1, ...
        TORCH_SUM  1       total    weight  Σwℓ                              torch 2.13.0, ...
    """
    rows = [("name", "factor", "unit", "count", "value", "read from")]
    for c in CONVENTIONS.values() if conventions is None else conventions:
        check_convention("a row", c)
        rows.append((c.name, f"{c.factor:g}", c.unit, c.count, c.meaning, c.source))
    if conventions is None:
        rows.append(_SEVERAL_OUTPUTS)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def mean_of_means(batches: Iterable[Statistic]) -> Float[Array, ""]:
    """The mean of the batches' values, each counted once, however many samples it has.

    What Pythae prints for an epoch. It depends on how the data are cut: a short last batch counts
    as much as a full one. The loss of the whole data is the value of the sum of the statistics.

    Args:
        batches: each batch's statistic, e.g. `mse.merged(A, Y)`.

    Returns:
        A scalar.

    Raises:
        ValueError: no batches.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import mse
        >>> A, Y = jnp.array([[1.0], [1.0], [2.0]]), jnp.zeros((3, 1))
        >>> full, short = mse.merged(A[:2], Y[:2]), mse.merged(A[2:], Y[2:])
        >>> float(mean_of_means([full, short])), float((full + short).value)
        (2.5, 2.0)
    """
    values = [batch.value for batch in batches]
    if not values:
        raise ValueError("got no batches, expected the statistic of one or more")
    return jnp.mean(jnp.stack(values))
