"""KL divergences between diagonal normal distributions, and the bits that a code has for free."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._error import closed_form
from jaxae.losses._feature_mean import FeatureMeans
from jaxae.losses._location_scale import saturated
from jaxae.losses._loss import Loss


@jax.custom_jvp
def exponential_excess(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """How far the exponential lies above its tangent at 0: exp(x) − 1 − x ≥ 0, elementwise.

    Below |x| = 1, where the digits of the difference cancel, it is x²/2! + x³/3! + … Its derivative
    is exp(x) − 1, the largest finite number where that overflows.

    Example:
        >>> exponential_excess(jnp.array([0.0, 1e-10, 1.0])).tolist()
        [0.0, 5.000000245224396e-21, 0.7182817459106445]
    """
    near = jnp.clip(x, -1, 1)
    series = jnp.ones_like(x)
    for order in range(12 if jnp.finfo(x.dtype).bits == 32 else 20, 2, -1):
        series = 1 + near * series / order
    return jnp.where(abs(x) < 1, 0.5 * near * near * series, jnp.expm1(x) - x)


@exponential_excess.defjvp
def _exponential_excess_jvp(primals, tangents):
    (x,), (tangent,) = primals, tangents
    return exponential_excess(x), jnp.expm1(_bounded(x)) * tangent


def _bounded(exponent: Array) -> Array:
    """The exponent, or the largest one whose exponential is finite."""
    precision = jnp.finfo(exponent.dtype)
    return jnp.minimum(exponent, math.log(float(precision.max)) * (1 - float(precision.eps)))


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
        >>> mean, log_variance = jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0])
        >>> gaussian_kl_between_error(mean, log_variance, jnp.zeros(2), log_variance).tolist()
        [0.5, 0.735...]

    References:
        Kingma & Welling, Auto-encoding variational Bayes, ICLR 2014, appendix B (whose other
        distribution is the standard one), https://arxiv.org/abs/1312.6114
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
    root, spread = _root_of_precision(t), 0.5 * jnp.expm1(_bounded(s - t))
    standardised = (m - n) * root * root
    shift = saturated(0.5 * standardised * standardised + spread)
    slopes = _between_slope(m, s, n, t) * (dm - dn) + spread * ds - shift * dt
    return _between(m, s, n, t), slopes


def _root_of_precision(log_variance: Array) -> Array:
    """σ^(−½), bounded: its powers overflow one by one, and times a difference of 0 they are 0."""
    return jnp.exp(_bounded(-0.25 * log_variance))


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
        _check_nats(self.nats)

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
    """

    nats: float

    def __post_init__(self):
        _check_nats(self.nats)

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
    """

    nats: float

    def __post_init__(self):
        _check_nats(self.nats)

    def __call__(self, means: Array, present: Array) -> Array:
        difference = jnp.sum(means, where=present) - self.nats
        return jnp.where(present.any(), jnp.maximum(difference, -difference), 0)


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


def _check_nats(nats: float) -> None:
    if not 0 <= nats < math.inf:
        raise ValueError(f"nats is {nats}, expected a number that is not negative, e.g. 0.5")


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
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (gaussian_kl, gaussian_kl_between)}
