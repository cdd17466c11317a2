"""Total correlation: how far the latent numbers of a data set are from independent."""

import dataclasses
import math

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from jaxae.losses._error import SAMPLE, takes
from jaxae.losses._hyperparameters import check_whole, store_python_numbers
from jaxae.losses._pairwise import PairwiseLoss, shares


@takes(SAMPLE)
def posterior_log_ratios(
    latent: Float[Array, "N ..."], mean: Float[Array, "N ..."], log_variance: Float[Array, "N ..."]
) -> Float[Array, "N N L"]:
    """How much likelier each row's latent numbers are under every row's posterior than its own.

    e_ijl = log N(z_il; μ_jl, σ²_jl) − log N(z_il; μ_il, σ²_il)

    What is subtracted does not change the total correlation, and keeps its digits: densities that
    are alike would cancel.

    Args:
        latent: z, drawn from the posteriors, one row for each sample.
        mean: μ, of the same shape.
        log_variance: log σ², of the same shape.

    Returns:
        The logarithms of the ratios, in nats; a standardised difference beyond 4e9 counts as 4e9
        (in float32).

    Example:
        >>> latent, log_variance = jnp.array([[0.0], [2.0]]), jnp.zeros((2, 1))
        >>> posterior_log_ratios(latent, latent, log_variance)[..., 0].tolist()
        [[0.0, -2.0], [-2.0, 0.0]]

    References:
        Chen et al., Isolating sources of disentanglement in variational autoencoders, NeurIPS 2018,
        section 4.1, https://arxiv.org/abs/1802.04942
    """
    shape = len(latent), math.prod(latent.shape[1:])
    z, mean, log_variance = (x.reshape(shape) for x in (latent, mean, log_variance))
    largest = float(jnp.finfo(z.dtype).max)
    inverse = jnp.exp(jnp.minimum(-0.5 * log_variance, 0.5 * math.log(largest)))

    def energy(difference: Array, inverse: Array) -> Array:
        # Bounded, so that a row that is impossible under another has a gradient of 0 and not NaN.
        return 0.5 * jnp.clip(difference * inverse, -(largest**0.25), largest**0.25) ** 2

    own = energy(z - mean, inverse)[:, None]
    energies = energy(z[:, None] - mean[None], inverse[None])
    return own - energies + 0.5 * (log_variance[:, None] - log_variance[None])


@dataclasses.dataclass(frozen=True)
class TotalCorrelation:
    """The total correlation from the posteriors' log-ratios, in nats: a finisher.

    TC ≈ Σ_i w_i (log q(z_i) − Σ_l log q(z_il)) / Σ w,   q(z_i) = Σ_j w_j q(z_i | x_j) / (K Σ w)

    Args:
        dataset_size: K, how many samples the data set has, for minibatch-weighted sampling. None,
            which is K = 1, takes the batch for the data set. K adds (L − 1) log K, a constant.

    Raises:
        ValueError: a size that is not whole or below 1.

    Example:
        >>> alike = jnp.zeros((3, 3, 2))
        >>> float(TotalCorrelation()(alike, jnp.ones(3)))
        0.0

    References:
        Chen et al., Isolating sources of disentanglement in variational autoencoders, NeurIPS 2018,
        section 4.1, https://arxiv.org/abs/1802.04942
    """

    dataset_size: int | None = None

    def __post_init__(self):
        if self.dataset_size is not None:
            check_whole("dataset_size", self.dataset_size, 1)
        store_python_numbers(self)

    def __call__(self, pairs: Float[Array, "N N L"], weight: Float[Array, " N"]) -> Array:
        share = shares(weight)
        # Where nothing counts, every row does, so that the logarithms are finite.
        parts = jnp.where(weight.any(), share, 1)
        ratios = pairs - _log_mean_exp(pairs, parts)
        joint = _log_mean_exp(ratios.sum(-1, keepdims=True), parts).sum((1, 2))
        constant = (pairs.shape[-1] - 1) * math.log(self.dataset_size or 1)
        return jnp.sum(share * (joint + constant))


def _log_mean_exp(x: Float[Array, "N N L"], share: Float[Array, " N"]) -> Float[Array, "N 1 L"]:
    """The logarithm of Σ_j share_j exp(x_ijl), shares that add to 1; right near 0 as well."""
    share = share[None, :, None]
    lowest = float(jnp.finfo(x.dtype).min)
    highest = stop_gradient(x.max(1, keepdims=True, where=share > 0, initial=lowest))
    excess = jnp.where(share > 0, jnp.expm1(jnp.where(share > 0, x - highest, 0)), 0)
    change = jnp.sum(share * excess, axis=1, keepdims=True)
    near = change > -0.5
    far = jnp.where(near, 1, jnp.sum(share * (1 + excess), axis=1, keepdims=True))
    return highest + jnp.where(near, jnp.log1p(jnp.where(near, change, 0)), jnp.log(far))


total_correlation = PairwiseLoss(posterior_log_ratios, TotalCorrelation()).documented(
    "total_correlation",
    """Total correlation of latents, KL(q(z) ‖ Π_l q(z_l)), in nats; estimated from all rows.

    With q the mixture of the batch's own posteriors. It is biased: a batch says little of a density
    in many dimensions. The paper's estimator for batches of a data set of K samples, minibatch
    weighted sampling, is `PairwiseLoss(posterior_log_ratios, TotalCorrelation(K))`; it is larger
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
