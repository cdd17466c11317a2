"""A tree's arrays as a checkpoint holds them: by name, random keys as numbers, with a checksum."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32

from jaxae.training._checksum import checksum


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
def held_checksum(held: dict[str, Array]) -> UInt32[Array, ""]:
    """A sum of all arrays' checksums, in which their order counts."""
    total = jnp.uint32(0)
    for name in sorted(held):
        total = total * jnp.uint32(31) + checksum(held[name])
    return total


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _data(x: Array) -> Array:
    return jax.random.key_data(x) if _is_key(x) else x


def _is_key(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
