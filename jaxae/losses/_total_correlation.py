"""Total correlation: how far the latent numbers of a data set are from independent."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._error import SAMPLE, takes
from jaxae.losses._pairwise import PairwiseLoss, shares


@takes(SAMPLE)
def posterior_log_densities(
    latent: Float[Array, "N ..."], mean: Float[Array, "N ..."], log_variance: Float[Array, "N ..."]
) -> Float[Array, "N N L"]:
    """The log-density of each row's latent numbers under every row's posterior, in nats.

    e_ijl = log N(z_il; μ_jl, σ²_jl) = −½((z_il − μ_jl)²/σ²_jl + log σ²_jl + log 2π)

    Args:
        latent: z, drawn from the posteriors, one row for each sample.
        mean: μ, of the same shape.
        log_variance: log σ², of the same shape.

    Returns:
        The log-densities, in nats; a standardised difference beyond 4e9 counts as 4e9 (float32).

    Example:
        >>> zeros = jnp.zeros((1, 2))
        >>> posterior_log_densities(zeros, zeros, zeros).round(4).tolist()
        [[[-0.918..., -0.918...]]]
    """
    z, mean, log_variance = (x.reshape(len(x), -1) for x in (latent, mean, log_variance))
    largest = float(jnp.finfo(z.dtype).max)
    inverse = jnp.exp(jnp.minimum(-0.5 * log_variance, 0.5 * math.log(largest)))
    standardised = (z[:, None] - mean[None]) * inverse[None]
    # Bounded, so that a row that is impossible under another has a gradient of 0 and not NaN.
    standardised = jnp.clip(standardised, -(largest**0.25), largest**0.25)
    return -0.5 * (standardised**2 + log_variance[None] + math.log(2 * math.pi))


@dataclasses.dataclass(frozen=True)
class TotalCorrelation:
    """The total correlation from the log-densities of all pairs, in nats: a finisher.

    TC ≈ Σ_i w_i (log q(z_i) − Σ_l log q(z_il)) / Σ w,   q(z_i) = Σ_j w_j q(z_i | x_j) / (K Σ w)

    Args:
        dataset_size: K, how many samples the data set has, for minibatch-weighted sampling. None,
            which is K = 1, takes the batch for the data set. K adds (L − 1) log K, a constant.

    Raises:
        ValueError: a size below 1.

    Example:
        >>> alike = jnp.zeros((3, 3, 2))
        >>> float(TotalCorrelation()(alike, jnp.ones(3)))
        0.0
    """

    dataset_size: int | None = None

    def __post_init__(self):
        if self.dataset_size is not None and self.dataset_size < 1:
            raise ValueError(f"dataset_size is {self.dataset_size}, expected 1 or more, or None")

    def __call__(self, pairs: Float[Array, "N N L"], weight: Float[Array, " N"]) -> Array:
        share = shares(weight)
        # Where nothing counts a mixture of nothing has no logarithm.
        parts = jnp.where(weight.any(), share, 1)[None, :, None]
        joint = jax.nn.logsumexp(pairs.sum(-1, keepdims=True), axis=1, b=parts).sum(-1)
        marginals = jax.nn.logsumexp(pairs, axis=1, b=parts).sum(-1)
        constant = (pairs.shape[-1] - 1) * math.log(self.dataset_size or 1)
        return jnp.sum(share * (joint - marginals + constant))


total_correlation = PairwiseLoss(posterior_log_densities, TotalCorrelation()).documented(
    "total_correlation",
    """Total correlation of latents, KL(q(z) ‖ Π_l q(z_l)), in nats; estimated from all rows.

    With q the mixture of the batch's own posteriors. It is biased: a batch says little of a density
    in many dimensions. The paper's estimator for batches of a data set of K samples, minibatch
    weighted sampling, is `PairwiseLoss(posterior_log_densities, TotalCorrelation(K))`; it is larger
    by the constant (L − 1) log K, and has the same gradient.

    Example:
        >>> import jax.numpy as jnp
        >>> means = jnp.array([[1.0, 1.0], [-1.0, -1.0]])
        >>> round(float(total_correlation(means, means, jnp.full((2, 2), -4.0))), 4)
        0.6931

    References:
        Chen et al., Isolating sources of disentanglement in variational autoencoders, NeurIPS 2018,
        section 4.1, https://arxiv.org/abs/1802.04942
    """,
)

__test__ = {total_correlation.name: total_correlation.__doc__}
