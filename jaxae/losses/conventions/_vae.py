"""How much one nat of KL weighs beside one nat of reconstruction: the β that a VAE really has."""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._hyperparameters import (
    check_not_negative,
    check_positive,
    check_whole,
    store_python_numbers,
)
from jaxae.losses.conventions._convention import Convention, check_convention
from jaxae.losses.conventions._libraries import (
    DIFFUSERS_AUTOENCODER_KL,
    FLAX_LINEN_VAE,
    FLAX_NNX_VAE,
    KERAS_VAE,
    PYOD_VAE,
    PYTHAE_AE,
    PYTHAE_VAE,
    SCVI,
)


def effective_beta(
    *,
    reconstruction: Convention,
    kl: Convention,
    features: int,
    latents: int,
    coefficient: float = 1.0,
    nats_per_error: float = 1.0,
    samples: int | None = None,
) -> float:
    """The β of the β-VAE that has the same minimum: nats of KL against nats of reconstruction.

    β = coefficient · k · nats_per_error / r

    where the reconstruction errors' sum is multiplied by r, and the KL's, over latents, by k. The
    ELBO weighs both alike: β = 1. Of the squared error at σ = 1 the negative log-likelihood is ½e
    and a constant, so nats_per_error = ½: a plain squared error summed per sample, with the KL
    summed too, has β = ½, and ½ of it has β = 1.

    Args:
        reconstruction: the convention that the reconstruction errors are reduced in.
        kl: the convention that the KL of each latent is reduced in.
        features: C, the numbers of one sample.
        latents: L, the latents of one sample.
        coefficient: what the loss multiplies the reduced KL by.
        nats_per_error: the negative log-likelihood in nats of an error of 1: 1 for cross-entropies
            and likelihoods, ½/σ² for the squared error.
        samples: N of a batch; needed where one of both is a sum over the batch and the other is a
            mean, so that β depends on N.

    Returns:
        β; above 1 the KL weighs more than in the ELBO.

    Raises:
        TypeError: a reduction that is no Convention.
        ValueError: no features, latents or samples; no `samples` given where β depends on them; a
            negative coefficient; a convention that does not reduce.

    Example:
        >>> from jaxae.losses.conventions import TORCH_MEAN, FLAX_NNX_VAE
        >>> round(effective_beta(reconstruction=FLAX_NNX_VAE, kl=FLAX_NNX_VAE, features=784,
        ...                      latents=32, coefficient=0.1), 12)
        2.45

    References:
        Higgins et al., beta-VAE, ICLR 2017, eq. 4, https://openreview.net/forum?id=Sy2fzU9gl
    """
    check_convention("reconstruction", reconstruction)
    check_convention("kl", kl)
    check_whole("features", features, 1)
    check_whole("latents", latents, 1)
    check_not_negative("coefficient", coefficient)
    check_positive("nats_per_error", nats_per_error)
    if samples is None:
        if (reconstruction.unit == "total") != (kl.unit == "total"):
            summed, other = sorted((reconstruction, kl), key=lambda c: c.unit != "total")
            raise ValueError(
                f"{summed.name} is a sum over the batch and {other.name} is not, so β depends on "
                "how many samples a batch has; give samples="
            )
        samples = 1
    check_whole("samples", samples, 1)
    r = reconstruction.multiplier((samples, features))
    k = kl.multiplier((samples, latents))
    return float(Fraction(coefficient) * Fraction(nats_per_error) * k / r)


@dataclasses.dataclass(frozen=True)
class VAEConvention:
    """The loss of a VAE as a library writes it: reconstruction + coefficient · KL.

    Args:
        name: of the library.
        reconstruction: the convention that the reconstruction errors are reduced in.
        kl: the convention that the KL of each latent is reduced in.
        coefficient: what the loss multiplies the reduced KL by, the library's default.
        nats_per_error: the negative log-likelihood in nats of an error of 1, as in
            `effective_beta`.
        meaning: the loss in one line.
        capacity: the KL in nats from which on it is clamped, so that it has no gradient; None where
            it is not clamped.

    Raises:
        TypeError: a reduction that is no Convention.
        ValueError: a coefficient or capacity that is negative, or nats_per_error that are not
            positive.

    Example:
        >>> VAES["DEEPOBS_VAE"].effective_beta(features=784, latents=8)
        0.5

        PyOD's KL has no gradient at its default capacity, 0; below another one it has:

        >>> pyod = VAES["PYOD_VAE"]
        >>> pyod.capacity, pyod.effective_beta(features=30, latents=2)
        (0.0, 0.0)
        >>> dataclasses.replace(pyod, capacity=5.0).effective_beta(features=30, latents=2)
        15.0
    """

    name: str
    reconstruction: Convention
    kl: Convention
    coefficient: float = 1.0
    nats_per_error: float = 1.0
    meaning: str = ""
    capacity: float | None = None

    def __post_init__(self):
        check_convention("reconstruction", self.reconstruction)
        check_convention("kl", self.kl)
        check_not_negative("coefficient", self.coefficient)
        check_positive("nats_per_error", self.nats_per_error)
        if self.capacity is not None:
            check_not_negative("capacity", self.capacity)
        store_python_numbers(self)

    def effective_beta(
        self, features: int, latents: int, *, samples: int | None = None, kl: float = 0.0
    ) -> float:
        """The β of the β-VAE whose gradient is the same, up to a factor.

        Args:
            features: as of the function `effective_beta`.
            latents: as of that function.
            samples: as of that function.
            kl: the batch's KL in nats, reduced as the library reduces it; from the capacity on, β
                is 0. A KL is not negative, so at the capacity 0 it always is.

        Returns:
            β.

        Raises:
            ValueError: what the function raises; a negative KL.
        """
        check_not_negative("kl", kl)
        beta = effective_beta(
            reconstruction=self.reconstruction,
            kl=self.kl,
            features=features,
            latents=latents,
            coefficient=self.coefficient,
            nats_per_error=self.nats_per_error,
            samples=samples,
        )
        return beta if self.capacity is None or kl < self.capacity else 0.0


_DEEPOBS = Convention(
    "DEEPOBS_VAE",
    "Σℓ/N: summed over pixels and latents",
    "DeepOBS, deepobs/tensorflow/testproblems/mnist_vae.py",
    unit="sample",
)
_PYOD_KL = Convention(
    "PYOD_VAE_KL",
    "Σℓ/N, then clamped at the capacity",
    "PyOD 3.6.7, pyod/models/vae.py, vae_loss",
    unit="sample",
)

VAES: Mapping[str, VAEConvention] = {
    vae.name: vae
    for vae in (
        VAEConvention("KERAS_VAE", KERAS_VAE, KERAS_VAE, meaning="BCE + KL, summed per image"),
        VAEConvention(
            "FLAX_LINEN_VAE", FLAX_LINEN_VAE, FLAX_LINEN_VAE, meaning="BCE + KL, summed per image"
        ),
        VAEConvention(
            "FLAX_NNX_VAE", FLAX_NNX_VAE, FLAX_NNX_VAE, 0.1, meaning="mean BCE + 0.1 mean KL"
        ),
        VAEConvention(
            "DIFFUSERS_AUTOENCODER_KL",
            DIFFUSERS_AUTOENCODER_KL,
            DIFFUSERS_AUTOENCODER_KL,
            1e-6,
            nats_per_error=0.5,
            meaning="SSE + 1e-6 KL per image; ½ LPIPS, added to every number, has no gradient",
        ),
        VAEConvention(
            "PYTHAE_VAE", PYTHAE_VAE, PYTHAE_AE, nats_per_error=0.5, meaning="½SSE + KL per sample"
        ),
        VAEConvention("SCVI", SCVI, SCVI, meaning="NLL + KL per cell, after 400 warm-up epochs"),
        VAEConvention("DEEPOBS_VAE", _DEEPOBS, _DEEPOBS, nats_per_error=0.5, meaning="SSE + KL"),
        VAEConvention(
            "PYOD_VAE",
            PYOD_VAE,
            _PYOD_KL,
            nats_per_error=0.5,
            meaning="MSE + min(KL, capacity), which from the capacity on, 0, has no gradient of KL",
            capacity=0.0,
        ),
    )
}


def clamped_at_capacity(kl: ArrayLike, capacity: float = 0.0) -> Float[Array, ""]:
    """PyOD's KL term, min(KL, capacity): it has NO gradient from the capacity on.

    The default capacity is 0, and a KL is not negative: by default the term is 0 and nothing pulls
    the posterior towards the prior. Burgess et al. write |KL − capacity| instead, whose gradient
    pulls towards the capacity from both sides.

    Args:
        kl: a batch's KL in nats, summed over latents, averaged over samples; floating.
        capacity: in nats, as in `VAES["PYOD_VAE"].capacity`.

    Returns:
        The clamped KL, whose gradient is the KL's below the capacity, and 0 from it on.

    Raises:
        TypeError: a KL that is not floating.
        ValueError: a capacity that is negative.

    Example:
        >>> import jax
        >>> float(clamped_at_capacity(3.0)), float(jax.grad(clamped_at_capacity)(3.0))
        (0.0, 0.0)
        >>> float(clamped_at_capacity(3.0, 5.0)), float(jax.grad(clamped_at_capacity)(3.0, 5.0))
        (3.0, 1.0)

    References:
        PyOD 3.6.7, pyod/models/vae.py, vae_loss
        Burgess et al., Understanding disentangling in beta-VAE, 2018, eq. 8,
        https://arxiv.org/abs/1804.03599
    """
    check_not_negative("capacity", capacity)
    kl = jnp.asarray(kl)
    if not jnp.issubdtype(kl.dtype, jnp.floating):
        raise TypeError(f"kl has dtype {kl.dtype}, expected a floating dtype")
    # Not jnp.minimum, whose derivative where both are equal is ½.
    return jnp.where(kl < capacity, kl, jnp.asarray(capacity, kl.dtype))
