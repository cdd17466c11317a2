"""Formulas computed in float64 and rounded once, where float32 would cancel."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

Formula = Callable[..., Array]


def in_float64(formula: Formula) -> Formula:
    """The formula of arrays in float64, then rounded to their dtype, whether x64 is on or not.

    For values whose terms cancel: their difference keeps its digits, while only its rounded value
    ever leaves registers. Platforms without fast float64, such as TPUs, compute it in the arrays'
    own dtype. It is not to be differentiated: use it inside a `jax.custom_jvp`.

    Example:
        >>> @in_float64
        ... def one(x):
        ...     return (1 + x) - x
        >>> one(jnp.float32(1e9)), (1 + jnp.float32(1e9)) - jnp.float32(1e9)
        (Array(1., dtype=float32), Array(0., dtype=float32))
    """

    @functools.wraps(formula)
    def wide(*arrays: Array) -> Array:
        with jax.enable_x64(True):
            return formula(*(x.astype(jnp.float64) for x in arrays)).astype(arrays[0].dtype)

    @functools.wraps(formula)
    def chosen(*arrays: Array) -> Array:
        return jax.lax.platform_dependent(*arrays, cpu=wide, cuda=wide, rocm=wide, default=formula)

    return chosen
