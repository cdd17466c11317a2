"""Penalties on codes that are not sparse."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._elementary import absolute, exponential_excess
from jaxae.losses._error import closed_form, from_logits
from jaxae.losses._feature_mean import FeatureMeans
from jaxae.losses._hyperparameters import check_between, store_python_numbers
from jaxae.losses._loss import Loss

LEAST = 1e-12  # of an activation's distance from 0 and 1, where the slope is infinite


@closed_form(jnp.sign)
def absolute_activation(code: Float[Array, "..."]) -> Float[Array, "..."]:
    """How far an activation is from 0, elementwise: e = |code|.

    Its derivative is the sign, and 0 at 0.

    Args:
        code: the activations, of any shape.

    Returns:
        The errors, of the same shape, in the code's unit.

    Example:
        >>> absolute_activation(jnp.array([-2.0, 0.0, 3.0])).tolist()
        [2.0, 0.0, 3.0]

    References:
        Cunningham, Ewart, Riggs, Huben & Sharkey, Sparse autoencoders find highly interpretable
        features in language models, ICLR 2024, section 2, https://arxiv.org/abs/2309.08600
    """
    return absolute(code)


@closed_form(jnp.ones_like)
def activation(code: Float[Array, "..."]) -> Float[Array, "..."]:
    """The activation itself, elementwise: e = code, in [0, 1].

    Args:
        code: the activations, of any shape, in [0, 1].

    Returns:
        The activations as they are, without unit.

    Example:
        >>> activation(jnp.array([0.25, 0.5])).tolist()
        [0.25, 0.5]

    References:
        Ng, Sparse autoencoder, CS294A lecture notes, Stanford University, 2011, section
        "Autoencoders and sparsity",
        https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf
    """
    return code


def _logistic_slope(logits: Array) -> Array:
    return jax.nn.sigmoid(logits) * jax.nn.sigmoid(-logits)


@closed_form(_logistic_slope)
@from_logits
def activation_from_logits(logits: Float[Array, "..."]) -> Float[Array, "..."]:
    """The activation of a code that is not squashed yet, elementwise: e = σ(logits), in [0, 1].

    Args:
        logits: of any shape; the activation is their logistic function.

    Returns:
        The activations, of the same shape, without unit.

    Example:
        >>> activation_from_logits(jnp.array([0.0, 200.0])).tolist()
        [0.5, 1.0]

    References:
        Ng, Sparse autoencoder, CS294A lecture notes, Stanford University, 2011, section
        "Autoencoders and sparsity",
        https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf
    """
    return _logistic(logits)


@jax.custom_jvp
def _logistic(logits: Array) -> Array:
    return jax.nn.sigmoid(logits)


@_logistic.defjvp
def _logistic_jvp(primals, tangents):
    # Not σ(1 − σ), which loses its digits where σ rounds to 1.
    (logits,), (tangent,) = primals, tangents
    return _logistic(logits), _logistic_slope(logits) * tangent


@dataclasses.dataclass(frozen=True)
class KLSparsity:
    """Σ KL(ρ ‖ ρ̂) over the features of batch means, in nats: a finisher of `FeatureMeans`.

    KL(ρ ‖ ρ̂) = ρ log(ρ/ρ̂) + (1 − ρ) log((1 − ρ)/(1 − ρ̂))

    Computed as the sum of two non-negative parts, ρ(r − 1 − log r) for r = ρ̂/ρ and the same for
    their complements, whose digits do not cancel. Its derivative is (ρ̂ − ρ)/(ρ̂(1 − ρ̂)). At ρ̂ = 0
    and 1, where both are infinite, a logarithm of r below −100 counts as −100 and a divisor below
    1e-12 as 1e-12. A mean outside [0, 1], of codes that are no activations, counts as the nearer
    end, in value and in slope: both are finite, and the slope leads back inside.

    Args:
        rate: ρ, the activation that is wanted on average, between 0 and 1.

    Raises:
        ValueError: a rate that is not between 0 and 1.

    Example:
        >>> round(float(KLSparsity(0.5)(jnp.array([0.25, 0.5]), jnp.array([True, True]))), 4)
        0.1438

    References:
        Ng, Sparse autoencoder, CS294A lecture notes, Stanford University, 2011, p. 15,
        https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf
    """

    rate: float = 0.05

    def __post_init__(self):
        check_between("rate", self.rate, 0, 1)
        store_python_numbers(self)

    def __call__(self, means: Array, present: Array) -> Array:
        return jnp.sum(_divergence(self.rate, means), where=present)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _divergence(rate: float, mean: Array) -> Array:
    mean = jnp.clip(mean, 0, 1)
    active = _ratio_excess(mean / rate, (mean - rate) / rate)
    silent = _ratio_excess((1 - mean) / (1 - rate), (rate - mean) / (1 - rate))
    return rate * active + (1 - rate) * silent


@_divergence.defjvp
def _divergence_jvp(rate, primals, tangents):
    (mean,), (tangent,) = primals, tangents
    mean = jnp.clip(mean, 0, 1)
    divisor = jnp.maximum(mean, LEAST) * jnp.maximum(1 - mean, LEAST)
    return _divergence(rate, mean), (mean - rate) / divisor * tangent


def _ratio_excess(ratio: Array, change: Array) -> Array:
    """The non-negative r − 1 − log r of a ratio r = 1 + change, of which one has more digits."""
    near = abs(change) < 0.5
    logarithm = jnp.where(near, jnp.log1p(change), jnp.log(ratio))
    return exponential_excess(jnp.maximum(logarithm, -100))


def kl_sparsity(rate: float = 0.05, error: Callable[[Array], Array] = activation) -> FeatureMeans:
    """The divergence of mean activations from the one that is wanted: Σ_j KL(ρ ‖ ρ̂_j), in nats.

    ρ̂_j is the mean of unit j's activation over the batch, and the divergence is taken after the
    merge: the same number however the data are cut. The codes are in [0, 1], or logits with
    `error=activation_from_logits`. A mean outside [0, 1] counts as the nearer end.

    Args:
        rate: ρ, the activation that is wanted on average, between 0 and 1.
        error: what is averaged: `activation`, or `activation_from_logits` for codes that are not
            squashed yet.

    Returns:
        A loss of codes.

    Raises:
        ValueError: a rate that is not between 0 and 1.

    Example:
        >>> codes = jnp.array([[0.0, 1.0], [0.5, 0.0]])
        >>> round(float(kl_sparsity(0.5)(codes)), 4)
        0.1438

    References:
        Ng, Sparse autoencoder, CS294A lecture notes, Stanford University, 2011, p. 15,
        https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf
    """
    return FeatureMeans(error, KLSparsity(rate))


l1 = Loss(absolute_activation, unit="sample").documented(
    "l1",
    """Absolute activations of a code, summed over a sample's, averaged over samples: Σ |code| / N.

    In the code's unit. A mean over activations would be weaker by their number: the coefficient
    would change with the width of the code. Its gradient is sign(codes)/N, and 0 at 0.

    Example:
        >>> import jax.numpy as jnp
        >>> float(l1(jnp.array([[1.0, -2.0], [0.0, 1.0]])))
        2.0

    References:
        Cunningham, Ewart, Riggs, Huben & Sharkey, Sparse autoencoders find highly interpretable
        features in language models, ICLR 2024, section 2, https://arxiv.org/abs/2309.08600
    """,
)

__test__ = {l1.name: l1.__doc__}
