"""Why binary cross-entropy never reaches zero on grey pixels: it is an entropy and an excess.

    −y log p − (1 − y) log(1 − p)  =  H(y)  +  KL(Bernoulli(y) ‖ Bernoulli(p))
            cross-entropy            floor      excess

The floor is the target's own entropy. No prediction changes it: 0 for black and white, log 2 for a
pixel of ½. The excess is what a model can still win: never negative, and 0 exactly where p = y.
Both have the same gradient by the prediction, so the excess trains the same model.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._bernoulli import binary_cross_entropy
from jaxae.losses._bernoulli_probabilities import binary_cross_entropy_from_probabilities
from jaxae.losses._elementary import exp_remainder, log1p
from jaxae.losses._error import Event, closed_form, derivative_of, from_logits, takes
from jaxae.losses._fusion import fenced, unshared
from jaxae.losses._loss import Loss


@jax.custom_jvp
def _log_odds(y: Array) -> Array:
    """log(y/(1 − y)) with all its digits, also near ½, and finite at 0 and 1."""
    y = jnp.clip(y, 0, 1)
    rarer = jnp.minimum(y, 1 - y)
    against = log1p((1 - 2 * rarer) / jnp.maximum(rarer, jnp.finfo(y.dtype).tiny))
    return jnp.where(y < 0.5, -against, against)


@_log_odds.defjvp
def _log_odds_jvp(primals, tangents):
    (y,), (dy,) = primals, tangents
    return _log_odds(y), dy / jnp.maximum(y * (1 - y), jnp.finfo(y.dtype).tiny)


def _less_likely(y: Array) -> Array:
    return -_log_odds(y)


@closed_form(_less_likely)
def binary_entropy(target: Float[Array, "..."]) -> Float[Array, "..."]:
    """Entropy of a Bernoulli variable, elementwise, in nats: the floor of binary cross-entropy.

    H = −y log y − (1 − y) log(1 − y), and 0 at y = 0 and y = 1

    Its derivative is log((1 − y)/y), which stays finite at 0 and 1: ±87 in float32. A target
    outside [0, 1] counts as the nearer of the two.

    Args:
        target: y in [0, 1], of any shape.

    Returns:
        The entropies, of the same shape, in nats, between 0 and log 2.

    Example:
        >>> binary_entropy(jnp.array([0.0, 0.1, 0.5, 1.0])).round(4)
        Array([0.    , 0.3251, 0.6931, 0.    ], dtype=float32)

    References:
        Cover & Thomas, Elements of information theory, 2nd edition, Wiley, 2006, section 2.1,
        https://doi.org/10.1002/047174882X
    """
    return _entropy(target)


@jax.custom_jvp
def _entropy(y: Array) -> Array:
    y = jnp.clip(y, 0, 1)
    tiny = jnp.finfo(y.dtype).tiny
    rarer, other = jnp.minimum(y, 1 - y), jnp.maximum(y, 1 - y)
    return -rarer * jnp.log(jnp.maximum(rarer, tiny)) - other * log1p(-rarer)


@_entropy.defjvp
def _entropy_jvp(primals, tangents):
    return _entropy(*primals), _less_likely(*primals) * tangents[0]


def _excess(surplus: Array, y: Array, far: Array) -> Array:
    """KL(Bernoulli(y) ‖ Bernoulli(p)) from the surplus log-odds of p over those of y.

    With δ the surplus it is log(1 + (1 − y) g(−yδ) + y g((1 − y)δ)), g(x) = eˣ − 1 − x: a sum of
    non-negative parts. Where |δ| ≥ 1, or is not known, cross-entropy less entropy, `far`, has lost
    few digits.
    """
    near = abs(surplus) < 1
    d = jnp.where(near, surplus, 0)
    parts = (1 - y) * exp_remainder(-y * d) + y * exp_remainder((1 - y) * d)
    return fenced(jnp.where(near, log1p(parts), jnp.maximum(far, 0)))


@takes(Event(masking="slopes"))
@from_logits
@closed_form(derivative_of(binary_cross_entropy))
def binary_excess(logits: Float[Array, "..."], target: Float[Array, "..."]) -> Float[Array, "..."]:
    """What binary cross-entropy from logits exceeds its floor by, elementwise, in nats.

    e = KL(Bernoulli(y) ‖ Bernoulli(σ(z))) = y log(y/σ(z)) + (1 − y) log((1 − y)/σ(−z))

    `binary_cross_entropy` less `binary_entropy`, but never negative, and with its digits where
    both are nearly equal: at σ(z) ≈ y the difference is rounding noise of 1e-8. Its derivative is
    that of `binary_cross_entropy`, (1 − y)σ(z) − yσ(−z).

    Args:
        logits: z, of any shape; the probability is σ(z).
        target: y in [0, 1], of the same shape.

    Returns:
        The divergences, of the same shape, in nats, 0 or more.

    Example:
        >>> z, y = jnp.array([0.0, 0.0, 0.001]), jnp.array([1.0, 0.5, 0.5])
        >>> print(binary_excess(z, y))
        [6.931472e-01 0.000000e+00 1.250000e-07]

    References:
        Cover & Thomas, Elements of information theory, 2nd edition, Wiley, 2006, section 2.3,
        https://doi.org/10.1002/047174882X
    """
    return unshared(_from_logits)(logits, target)


@jax.custom_jvp
def _from_logits(z: Array, y: Array) -> Array:
    return _excess(z - _log_odds(y), y, binary_cross_entropy(z, y) - binary_entropy(y))


@_from_logits.defjvp
def _from_logits_jvp(primals, tangents):
    (z, y), (dz, dy) = primals, tangents
    slope = derivative_of(binary_cross_entropy)(z, y)
    return _from_logits(z, y), slope * dz + (_log_odds(y) - z) * dy


@takes(Event(masking="slopes"))
@closed_form(derivative_of(binary_cross_entropy_from_probabilities))
def binary_excess_from_probabilities(
    probability: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """What binary cross-entropy from a probability exceeds its floor by, elementwise, in nats.

    e = KL(Bernoulli(y) ‖ Bernoulli(p)) = y log(y/p) + (1 − y) log((1 − y)/(1 − p))

    `binary_cross_entropy_from_probabilities`, with its clamp of −100 on the logarithm, less
    `binary_entropy`; never negative, and exactly 0 at p = y. Its derivative is that of
    `binary_cross_entropy_from_probabilities`.

    Args:
        probability: p in [0, 1], of any shape.
        target: y in [0, 1], of the same shape.

    Returns:
        The divergences, of the same shape, in nats, 0 or more.

    Example:
        >>> p, y = jnp.array([0.5, 0.3, 0.0]), jnp.array([1.0, 0.3, 1.0])
        >>> binary_excess_from_probabilities(p, y).round(4)
        Array([  0.6931,   0.    , 100.    ], dtype=float32)

    References:
        Cover & Thomas, Elements of information theory, 2nd edition, Wiley, 2006, section 2.3,
        https://doi.org/10.1002/047174882X
    """
    return unshared(_from_probabilities)(probability, target)


@jax.custom_jvp
def _from_probabilities(p: Array, y: Array) -> Array:
    room = jnp.maximum(y * (1 - p), jnp.finfo(p.dtype).tiny)
    far = binary_cross_entropy_from_probabilities(p, y) - binary_entropy(y)
    return _excess(jnp.log1p((p - y) / room), y, far)


@_from_probabilities.defjvp
def _from_probabilities_jvp(primals, tangents):
    (p, y), (dp, dy) = primals, tangents
    slope = derivative_of(binary_cross_entropy_from_probabilities)(p, y)
    return _from_probabilities(p, y), slope * dp + (_log_odds(y) - _log_odds(p)) * dy


bce_floor = Loss(binary_entropy).documented(
    "bce_floor",
    """Mean entropy of the targets over all numbers, in nats, Σ H / (N·C): the least that bce is.

    It takes targets only, which must be floating point. On MNIST's test images, scaled to [0, 1],
    it is 0.05808: a model whose `bce` is 0.07 is 0.012 from perfect.

    Example:
        >>> import jax.numpy as jnp
        >>> print(bce_floor(jnp.array([[0.0, 0.5, 0.5, 1.0]])).round(4))
        0.3466

    References:
        Cover & Thomas, Elements of information theory, 2nd edition, Wiley, 2006, section 2.1,
        https://doi.org/10.1002/047174882X
    """,
)

bce_excess = Loss(binary_excess).documented(
    "bce_excess",
    """Mean excess of `bce` over its floor, over all numbers, in nats: bce − bce_floor.

    The mean KL divergence from the predicted to the target's Bernoulli distributions. The
    predictions are logits. It is 0 where σ(logits) = targets, and its gradient is that of `bce`,
    (σ(Z) − Y)/(N·C), bit for bit.

    Example:
        >>> import jax.numpy as jnp
        >>> print(bce_excess(jnp.array([[0.0, 0.0]]), jnp.array([[0.5, 1.0]])).round(4))
        0.3466

    References:
        Cover & Thomas, Elements of information theory, 2nd edition, Wiley, 2006, section 2.3,
        https://doi.org/10.1002/047174882X
    """,
)

bce_excess_from_probabilities = Loss(binary_excess_from_probabilities).documented(
    "bce_excess_from_probabilities",
    """Mean excess of `bce_from_probabilities` over its floor, over all numbers, in nats.

    The predictions are probabilities. It is exactly 0 where they are the targets, and its gradient
    is that of `bce_from_probabilities`, bit for bit.

    Example:
        >>> import jax.numpy as jnp
        >>> P = jnp.array([[0.3, 0.5]])
        >>> print(bce_excess_from_probabilities(P, jnp.array([[0.3, 1.0]])).round(4))
        0.3466

    References:
        Cover & Thomas, Elements of information theory, 2nd edition, Wiley, 2006, section 2.3,
        https://doi.org/10.1002/047174882X
    """,
)

__test__ = {
    loss.name: loss.__doc__ for loss in (bce_floor, bce_excess, bce_excess_from_probabilities)
}
