"""KL divergences between diagonal normal distributions."""

import jax
from jaxtyping import Array, Float

from jaxae.losses._elementary import exponential_excess, finite_exp, finite_expm1, saturated
from jaxae.losses._error import closed_form
from jaxae.losses._loss import Loss


@closed_form(lambda mean, log_variance: mean)
def gaussian_kl_error(
    mean: Float[Array, "..."], log_variance: Float[Array, "..."]
) -> Float[Array, "..."]:
    """KL divergence of a normal distribution from the standard one, elementwise, in nats.

    e = KL(N(μ, σ²) ‖ N(0, 1)) = ½μ² + ½(exp(s) − 1 − s), with s = log σ²

    Two non-negative parts, each computed without cancelling digits, so the divergence of a code
    that is close to the prior is right as well. Its derivatives are μ and ½(σ² − 1).

    Args:
        mean: μ, of any shape.
        log_variance: s = log σ², the logarithm of the variance (not of σ), of the same shape.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> import jax.numpy as jnp
        >>> gaussian_kl_error(jnp.array([0.0, 1.0]), jnp.array([0.0, 1.0])).round(4).tolist()
        [0.0, 0.859...]

    References:
        Kingma & Welling, Auto-encoding variational Bayes, ICLR 2014, appendix B,
        https://arxiv.org/abs/1312.6114
    """
    return 0.5 * mean * mean + 0.5 * exponential_excess(log_variance)


def _between_slope(
    mean: Array, log_variance: Array, other_mean: Array, other_log_variance: Array
) -> Array:
    root = _root_of_precision(other_log_variance)
    return saturated((mean - other_mean) * root * root * root * root)


@closed_form(_between_slope)
def gaussian_kl_between_error(
    mean: Float[Array, "..."],
    log_variance: Float[Array, "..."],
    other_mean: Float[Array, "..."],
    other_log_variance: Float[Array, "..."],
) -> Float[Array, "..."]:
    """KL divergence between two normal distributions, elementwise, in nats.

    e = KL(N(μ, exp s) ‖ N(m, exp t)) = ½(μ − m)² exp(−t) + ½(exp(s − t) − 1 − (s − t))

    Its derivatives are (μ − m) exp(−t) by μ, ½(exp(s − t) − 1) by s, minus that by m, and the
    negative sum of the second part's and of the first part itself by t.

    Args:
        mean: μ, of any shape.
        log_variance: s, the logarithm of the variance, of the same shape.
        other_mean: m, of the distribution that it is compared with, e.g. a learned prior.
        other_log_variance: t, the logarithm of its variance.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> import jax.numpy as jnp
        >>> mean, log_variance = jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0])
        >>> gaussian_kl_between_error(mean, log_variance, jnp.zeros(2), log_variance).tolist()
        [0.5, 0.735...]

    References:
        Kingma & Welling, Auto-encoding variational Bayes, ICLR 2014, appendix B (whose other
        distribution is the standard one), https://arxiv.org/abs/1312.6114
        torch.distributions.kl, kl_divergence of two normal distributions,
        https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.kl
    """
    return _between(mean, log_variance, other_mean, other_log_variance)


@jax.custom_jvp
def _between(m: Array, s: Array, n: Array, t: Array) -> Array:
    root = _root_of_precision(t)
    standardised = (m - n) * root * root
    return 0.5 * standardised * standardised + 0.5 * exponential_excess(s - t)


@_between.defjvp
def _between_jvp(primals, tangents):
    (m, s, n, t), (dm, ds, dn, dt) = primals, tangents
    root, spread = _root_of_precision(t), 0.5 * finite_expm1(s - t)
    standardised = (m - n) * root * root
    shift = saturated(0.5 * standardised * standardised + spread)
    slopes = _between_slope(m, s, n, t) * (dm - dn) + spread * ds - shift * dt
    return _between(m, s, n, t), slopes


def _root_of_precision(log_variance: Array) -> Array:
    """σ^(−½), bounded: its powers overflow one by one, and times a difference of 0 they are 0."""
    return finite_exp(-0.25 * log_variance)


gaussian_kl = Loss(gaussian_kl_error, unit="sample").documented(
    "gaussian_kl",
    """KL divergence of normal posteriors from the standard normal, in nats per sample: Σ e / N.

    Summed over a sample's latent numbers and averaged over samples, the KL of the ELBO. Add it to a
    reconstruction loss that is in nats per sample too: beside a mean over pixels it would weigh as
    many times too much as there are pixels. Its gradient by the means is M/N.

    Example:
        >>> import jax.numpy as jnp
        >>> float(gaussian_kl(jnp.array([[0.0, 2.0], [1.0, 2.0]]), jnp.zeros((2, 2))))
        2.25

    References:
        Kingma & Welling, Auto-encoding variational Bayes, ICLR 2014, appendix B,
        https://arxiv.org/abs/1312.6114
    """,
)

gaussian_kl_between = Loss(gaussian_kl_between_error, unit="sample").documented(
    "gaussian_kl_between",
    """KL divergence of normal posteriors from other normals, in nats per sample: Σ e / N.

    For priors that are learned or depend on the sample. With means and log-variances of 0 as the
    others it is `gaussian_kl`.

    Example:
        >>> import jax.numpy as jnp
        >>> zeros, twos = jnp.zeros((3, 2)), jnp.full((3, 2), 2.0)
        >>> float(gaussian_kl_between(zeros, zeros, twos, zeros))
        4.0

    References:
        torch.distributions.kl, kl_divergence of two normal distributions,
        https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.kl
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (gaussian_kl, gaussian_kl_between)}
