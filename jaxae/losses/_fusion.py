"""Fences: how far XLA shares and splits what it computes from the same arrays.

On CPU, XLA adds some operations up as it goes and writes the arrays that all others leave to memory
first, a dozen for a long formula, and what a value and its slope share as well. To compute a number
twice is faster than to write it and read it.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array


def fenced(x: Array) -> Array:
    """`x` rounded to the precision that it has: itself, but XLA does not look through it.

    Example:
        >>> float(fenced(jnp.float32(0.1))) == float(jnp.float32(0.1))
        True
    """
    precision = jnp.finfo(x.dtype)
    return jax.lax.reduce_precision(x, precision.nexp, precision.nmant)


def apart(x: Array) -> Array:
    """`x` itself; what is computed from it XLA computes apart from what is computed from x.

    Example:
        >>> float(apart(jnp.float32(0.1))) == float(jnp.float32(0.1))
        True
    """
    return jax.lax.optimization_barrier(x)


def unshared(function: Callable[..., Array]) -> Callable[..., Array]:
    """A function of arrays whose derivative shares nothing with it, each of them in one loop.

    Args:
        function: of floating arrays, differentiable in forward mode. Where XLA on CPU cannot add
            it up as it goes, because of a choice or a number that is used twice, it is fenced.

    Returns:
        The same function.

    Example:
        >>> float(jax.grad(unshared(jnp.sin))(jnp.float32(0.0)))
        1.0
    """

    @jax.custom_jvp
    def value(*arrays: Array) -> Array:
        return function(*arrays)

    @value.defjvp
    def _value_jvp(primals, tangents):
        whole, _ = jax.jvp(function, primals, tangents)
        _, tangent = jax.jvp(function, tuple(apart(x) for x in primals), tangents)
        return fenced(whole), tangent

    return value


def interleaved(arrays: Sequence[Array]) -> Array:
    """The arrays along a new last axis; XLA computes each in a loop of its own before.

    Example:
        >>> interleaved([jnp.zeros(2), jnp.ones(2)]).tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    return jnp.moveaxis(apart(jnp.stack(arrays)), 0, -1)
