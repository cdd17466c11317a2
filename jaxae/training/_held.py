"""A tree's arrays as a checkpoint holds them: by name, random keys as numbers, with a checksum."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32


def flat(tree: Any) -> dict[str, Array]:
    """A tree's arrays by their names in it, without those that hold nothing."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): _data(x) for path, x in leaves if x.size}


def unflat(held: dict[str, Array], like: Any) -> Any:
    """The tree of which `flat` gave these arrays."""

    def restored(path: Any, old: Array) -> Array:
        if not old.size:
            return old
        x = held[_name(path)]
        return jax.random.wrap_key_data(x, impl=jax.random.key_impl(old)) if _is_key(old) else x

    return jax.tree_util.tree_map_with_path(restored, like)


def kinds(held: dict[str, Array]) -> dict[str, str]:
    """Each array's dtype and shape."""
    return {name: f"{x.dtype}{list(x.shape)}" for name, x in held.items()}


@jax.jit
def checksum(held: dict[str, Array]) -> UInt32[Array, ""]:
    """A sum of all bits in which places count: the same on any number of devices."""
    total = jnp.uint32(0)
    for name in sorted(held):
        words = _words(held[name])
        odd = 2 * jax.lax.iota(jnp.uint32, words.size) + 1
        total = total * jnp.uint32(31) + (words * odd).sum(dtype=jnp.uint32)
    return total


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _data(x: Array) -> Array:
    return jax.random.key_data(x) if _is_key(x) else x


def _is_key(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _words(x: Array) -> Array:
    """An array's bits, in words of 32 of them; a smaller number is a word of its own."""
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        x = jnp.stack([x.real, x.imag])
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint32).reshape(-1)
    size = min(x.dtype.itemsize, 4)
    unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[size]
    return jax.lax.bitcast_convert_type(x, unsigned).astype(jnp.uint32).reshape(-1)
