"""What a code may cost for free: free bits and capacity, of a sample and of batch means."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._elementary import absolute
from jaxae.losses._feature_mean import FeatureMeans
from jaxae.losses._hyperparameters import check_not_negative, store_python_numbers
from jaxae.losses._kl import gaussian_kl_error


@dataclasses.dataclass(frozen=True)
class FreeBitsError:
    """The KL divergence from the standard normal, but never below a floor, elementwise, in nats.

    e = max(KL(N(μ, σ²) ‖ N(0, 1)), λ)

    A latent number whose divergence is below λ has a zero gradient: so much it may say for free.
    The floor holds for each sample by itself; the paper's holds for batch means, `free_bits`.

    Args:
        nats: λ ≥ 0, the floor of each latent number. One bit is log 2 nats.

    Raises:
        ValueError: a negative or infinite number of nats.

    Example:
        >>> FreeBitsError(0.5)(jnp.array([0.0, 2.0]), jnp.zeros(2)).tolist()
        [0.5, 2.0]

    References:
        Kingma et al., Improved variational inference with inverse autoregressive flow, NIPS 2016,
        equation 15, https://arxiv.org/abs/1606.04934
    """

    nats: float

    def __post_init__(self):
        check_not_negative("nats", self.nats)
        store_python_numbers(self)

    def __call__(
        self, mean: Float[Array, "..."], log_variance: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return _floored(gaussian_kl_error(mean, log_variance), self.nats)

    def derivative(
        self, mean: Float[Array, "..."], log_variance: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """μ above the floor, else 0."""
        return jnp.where(gaussian_kl_error(mean, log_variance) <= self.nats, 0, mean)


@dataclasses.dataclass(frozen=True)
class FreeBits:
    """Σ max(KL, λ) over the features of batch means, in nats: a finisher of `FeatureMeans`.

    Args:
        nats: λ ≥ 0, the floor of each feature.

    Raises:
        ValueError: a negative or infinite number of nats.

    Example:
        >>> float(FreeBits(0.5)(jnp.array([0.0, 2.0]), jnp.array([True, True])))
        2.5

    References:
        Kingma et al., Improved variational inference with inverse autoregressive flow, NIPS 2016,
        equation 15, https://arxiv.org/abs/1606.04934
    """

    nats: float

    def __post_init__(self):
        check_not_negative("nats", self.nats)
        store_python_numbers(self)

    def __call__(self, means: Array, present: Array) -> Array:
        return jnp.sum(_floored(means, self.nats), where=present)


@dataclasses.dataclass(frozen=True)
class Capacity:
    """|Σ KL − C| over the features of batch means, in nats: a finisher of `FeatureMeans`.

    Args:
        nats: C ≥ 0, what the divergence is drawn to.

    Raises:
        ValueError: a negative or infinite number of nats.

    Example:
        >>> float(Capacity(5.0)(jnp.array([1.0, 2.0]), jnp.array([True, True])))
        2.0

    References:
        Burgess et al., Understanding disentangling in β-VAE, 2018, equation 8,
        https://arxiv.org/abs/1804.03599
    """

    nats: float

    def __post_init__(self):
        check_not_negative("nats", self.nats)
        store_python_numbers(self)

    def __call__(self, means: Array, present: Array) -> Array:
        distance = absolute(jnp.sum(means, where=present) - self.nats)
        return jnp.where(present.any(), distance, 0)


def free_bits(nats: float) -> FeatureMeans:
    """The KL divergence with free bits: Σ_j max(λ, mean KL of latent j), in nats per sample.

    The means are over the batch, each latent number (each place of an array of them) is a group of
    its own, and the floor is applied after the merge: the same number however the data are cut.
    Latents whose mean is below the floor have a zero gradient. `Loss(FreeBitsError(nats),
    unit="sample")` floors each sample by itself; it is never smaller.

    Args:
        nats: λ ≥ 0, the floor of each latent number. One bit is log 2 nats.

    Returns:
        A loss of means and log-variances.

    Raises:
        ValueError: a negative or infinite number of nats.

    Example:
        >>> means = jnp.array([[0.0, 2.0], [1.0, 2.0]])
        >>> float(free_bits(0.5)(means, jnp.zeros((2, 2))))
        2.5

    References:
        Kingma et al., Improved variational inference with inverse autoregressive flow, NIPS 2016,
        equation 15, https://arxiv.org/abs/1606.04934
    """
    return FeatureMeans(gaussian_kl_error, FreeBits(nats))


def capacity(nats: float) -> FeatureMeans:
    """The distance of the KL divergence from a capacity: |mean KL − C|, in nats per sample.

    The mean is over the batch, and its distance is taken after the merge. The paper's γ is the
    term's coefficient (1000 there), and its C grows from 0 to 25 nats in the course of training.

    Args:
        nats: C ≥ 0.

    Returns:
        A loss of means and log-variances.

    Raises:
        ValueError: a negative or infinite number of nats.

    Example:
        >>> means = jnp.array([[0.0, 2.0], [1.0, 2.0]])
        >>> float(capacity(3.0)(means, jnp.zeros((2, 2))))
        0.75

    References:
        Burgess et al., Understanding disentangling in β-VAE, 2018, equation 8,
        https://arxiv.org/abs/1804.03599
    """
    return FeatureMeans(gaussian_kl_error, Capacity(nats))


def _floored(kl: Array, floor: float) -> Array:
    # Not the larger of both, whose derivative is ½ where they are equal.
    return jnp.where(kl <= floor, floor, kl)
