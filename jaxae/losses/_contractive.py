"""The contractive penalty: how much a code changes with its input, exact or estimated."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import lengthened
from jaxae.losses._hyperparameters import check_whole

Encode = Callable[[Array], Array]


def contractive_penalty(encode: Encode, x: Float[Array, "..."]) -> Float[Array, ""]:
    """The squared norm of an encoder's Jacobian at ONE sample, exact: ‖∂encode/∂x‖²_F.

    By forward mode, which its own gradient is taken through in reverse: one pass for each number of
    x. For large inputs estimate it with `hutchinson_penalty`.

    Args:
        encode: maps one sample to its code, an array of any shape.
        x: the sample, of any shape.

    Returns:
        The penalty, a scalar, in squared units of the code per unit of x.

    Raises:
        TypeError: a sample or a code that is not one floating array.

    Example:
        >>> float(contractive_penalty(lambda x: jnp.array([x[0] * x[1], 3 * x[1]]), jnp.ones(2)))
        11.0

    References:
        Rifai et al., Contractive auto-encoders: explicit invariance during feature extraction, ICML
        2011, section 3, https://icml.cc/2011/papers/455_icmlpaper.pdf
    """
    _check_floating("x", x)
    _check_floating("encode(x)", jax.eval_shape(encode, x))
    return jnp.sum(lengthened(jax.jacfwd(encode)(x)) ** 2)


def hutchinson_penalty(
    encode: Encode, x: Float[Array, "..."], *, key: PRNGKeyArray, probes: int = 1
) -> Float[Array, ""]:
    """An unbiased estimate of `contractive_penalty` at ONE sample, by random directions.

    ‖J‖²_F = tr(JᵀJ) = E ‖Jv‖², for v of independent signs: the mean over so many forward passes.

    Args:
        encode: maps one sample to its code, an array of any shape.
        x: the sample, of any shape.
        key: a random key, which should belong to the sample.
        probes: how many directions are drawn.

    Returns:
        The estimate, a scalar, in squared units of the code per unit of x.

    Raises:
        TypeError: a sample or a code that is not one floating array.
        ValueError: a number of probes that is not whole, or below 1.

    Example:
        >>> double = lambda x: 2 * x
        >>> float(hutchinson_penalty(double, jnp.ones(3), key=jax.random.key(0)))
        12.0

    References:
        Hutchinson, A stochastic estimator of the trace of the influence matrix for Laplacian
        smoothing splines, Communications in Statistics – Simulation and Computation 18(3), 1989,
        https://doi.org/10.1080/03610918908812806
    """
    check_whole("probes", probes, 1)
    _check_floating("x", x)
    _check_floating("encode(x)", jax.eval_shape(encode, x))
    directions = jax.random.rademacher(key, (probes, *x.shape), x.dtype)
    push = jax.linearize(encode, x)[1]
    return jnp.sum(lengthened(jax.vmap(push)(directions)) ** 2) / probes


def _check_floating(name: str, value: Any) -> None:
    """Raise unless a sample or a code is one floating array: others have no derivative."""
    if not hasattr(value, "dtype"):
        raise TypeError(
            f"{name} is a {type(value).__name__}, expected one array; of a mean and a log "
            "variance, encode returns e.g. the mean"
        )
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(
            f"{name} has dtype {value.dtype}, expected a floating dtype; convert it, e.g. "
            f"{name}.astype(jnp.float32)"
        )
