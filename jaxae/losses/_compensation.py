"""Sums that keep what rounding takes from them, so that a million additions lose no digits."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxae.losses._fusion import apart


@functools.partial(jax.jit, inline=True)
def add_compensated(first: Any, second: Any, first_lost: Any, second_lost: Any) -> tuple[Any, Any]:
    """The sum of two trees of numbers, rounded, and what rounding has taken from it.

    Each tree comes with what rounding has taken from it before. Whatever the parts are, their
    derivatives by them are 1: everything here is a sum or a difference, so tangents are
    compensated as the numbers are, and cotangents arrive as they are.

    Example:
        >>> total, lost = jnp.float32(0.0), jnp.float32(0.0)
        >>> for part in (1e8, 3.0, -1e8):
        ...     total, lost = add_compensated(total, jnp.float32(part), lost, jnp.float32(0.0))
        >>> float(total)
        3.0
    """
    sums = jax.tree.map(_add, first, second, first_lost, second_lost)
    outer, inner = jax.tree.structure(first), jax.tree.structure((0, 0))
    return jax.tree.transpose(outer, inner, sums)


def _add(a: Array, b: Array, a_lost: Array, b_lost: Array) -> tuple[Array, Array]:
    total, lost = _two_sum(a, b)
    return _two_sum(total, lost + (a_lost + b_lost))


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum and the rest of it, exactly (Knuth); a rest of 0 if the sum is not finite.

    References:
        Knuth, The art of computer programming, volume 2, 3rd edition, 1997, section 4.2.2,
        theorem B
    """
    # XLA simplifies (a + 1) - 1 to a, unless it cannot see the sum.
    total = apart(a + b)
    of_b = total - a
    lost = (a - (total - of_b)) + (b - of_b)
    return total, jnp.where(jnp.isfinite(lost), lost, 0)
