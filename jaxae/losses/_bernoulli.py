"""Binary cross-entropy: the error of a probability, from logits or from the probability itself."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._error import from_logits
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._loss import Loss


@from_logits
def binary_cross_entropy(
    logits: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Binary cross-entropy from logits, elementwise, in nats.

    e = −y log σ(z) − (1 − y) log σ(−z) = max(z, 0)(1 − y) + max(−z, 0)y + log(1 + exp(−|z|))

    A sum of non-negative parts, so no digits cancel. For a target between 0 and 1 its minimum is
    not 0 but the target's entropy, reached at σ(z) = y. Its derivative is σ(z) − y, computed as
    (1 − y)σ(z) − yσ(−z), which keeps its digits at large logits.

    Args:
        logits: z, of any shape; the probability is σ(z).
        target: y in [0, 1], of the same shape; it need not be 0 or 1.

    Returns:
        The errors, of the same shape, in nats.

    Example:
        >>> binary_cross_entropy(jnp.array([0.0, 0.0, 200.0]), jnp.array([1.0, 0.5, 0.0])).round(4)
        Array([  0.6931,   0.6931, 200.    ], dtype=float32)
    """
    return _from_logits(logits, target)


@jax.custom_jvp
def _from_logits(z: Array, y: Array) -> Array:
    linear = jnp.maximum(z, 0) * (1 - y) + jnp.maximum(-z, 0) * y
    return linear + jnp.log1p(jnp.exp(-abs(z)))


@_from_logits.defjvp
def _from_logits_jvp(primals, tangents):
    (z, y), (dz, dy) = primals, tangents
    # The same value in a form that XLA fuses better with the derivative.
    value = abs(z) * jnp.where(z < 0, y, 1 - y) + jnp.log1p(jnp.exp(-abs(z)))
    slope = (1 - y) * jax.nn.sigmoid(z) - y * jax.nn.sigmoid(-z)
    return value, slope * dz - z * dy


def binary_cross_entropy_from_probabilities(
    probability: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Binary cross-entropy from a probability, elementwise, in nats.

    e = −y max(log p, −100) − (1 − y) max(log(1 − p), −100)

    The clamp is torch's: finite at p = 0 and p = 1, and exact everywhere between. Its derivative is
    (1 − y) / max(1 − p, 1e-12) − y / max(p, 1e-12). Prefer `binary_cross_entropy` where logits are
    at hand: a float32 probability within 3e-8 of 1 has already been rounded to 1.

    Args:
        probability: p in [0, 1], of any shape.
        target: y in [0, 1], of the same shape.

    Returns:
        The errors, of the same shape, in nats, at most 100.

    Example:
        >>> p, y = jnp.array([0.5, 1.0]), jnp.array([1.0, 0.0])
        >>> binary_cross_entropy_from_probabilities(p, y).round(4)
        Array([  0.6931, 100.    ], dtype=float32)

    References:
        torch.nn.BCELoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """
    return _from_probabilities(probability, target)


@jax.custom_jvp
def _from_probabilities(p: Array, y: Array) -> Array:
    present, absent = jnp.maximum(jnp.log(p), -100), jnp.maximum(jnp.log1p(-p), -100)
    return -(y * present + (1 - y) * absent)


@_from_probabilities.defjvp
def _from_probabilities_jvp(primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    slope = (1 - y) / jnp.maximum(1 - p, 1e-12) - y / jnp.maximum(p, 1e-12)
    log_odds = jnp.maximum(jnp.log(p), -100) - jnp.maximum(jnp.log1p(-p), -100)
    return _from_probabilities(p, y), slope * dp - log_odds * dy


def _draw(logits: Array, *, key: PRNGKeyArray) -> Array:
    return jax.random.bernoulli(key, jax.nn.sigmoid(logits)).astype(logits.dtype)


bernoulli = Likelihood(binary_cross_entropy, jax.nn.sigmoid, sampler=_draw)

bce = Loss(binary_cross_entropy).documented(
    "bce",
    """Mean binary cross-entropy from logits over all numbers, in nats: Σ e / (N·C).

    The predictions are logits. On targets between 0 and 1 it does not reach zero: its minimum is
    the targets' mean entropy, at σ(logits) = targets. Its gradient is (σ(Z) − Y)/(N·C).

    Example:
        >>> import jax.numpy as jnp
        >>> print(bce(jnp.array([[0.0, 0.0]]), jnp.array([[0.0, 0.3]])).round(4))
        0.6931
    """,
)

bce_from_probabilities = Loss(binary_cross_entropy_from_probabilities).documented(
    "bce_from_probabilities",
    """Mean binary cross-entropy from probabilities over all numbers, in nats: Σ e / (N·C).

    The predictions are probabilities; a logarithm below −100 counts as −100, as in torch. Its
    gradient is ((1 − Y)/(1 − P) − Y/P)/(N·C), where a divisor below 1e-12 counts as 1e-12.

    Example:
        >>> import jax.numpy as jnp
        >>> print(bce_from_probabilities(jnp.array([[0.5, 0.5]]), jnp.array([[0.0, 0.3]])).round(4))
        0.6931
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (bce, bce_from_probabilities)}
