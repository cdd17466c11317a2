"""A checksum of an array's bits: the same on any number of devices, and for any values."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt32


def checksum(x: Array) -> UInt32[Array, ""]:
    """A sum of an array's words in which places count; zeros after its last row add nothing.

    Words are mixed before they are added: those of round numbers end in zeros, and sums of them
    alone are few.

    Example:
        >>> swapped = checksum(jnp.array([0.0, 1.0])), checksum(jnp.array([1.0, 0.0]))
        >>> len(set(map(int, swapped)))
        2
    """
    return _total(jax.vmap(_total)(_words(x)))


def _total(words: UInt32[Array, " N"]) -> UInt32[Array, ""]:
    """A sum of mixed words, each with an odd weight of its own, so that each of them counts."""
    places = jax.lax.iota(jnp.uint32, len(words)) + jnp.uint32(1)
    return (_mixed(words) * (_mixed(places) | jnp.uint32(1))).sum(dtype=jnp.uint32)


def _mixed(words: UInt32[Array, " N"]) -> UInt32[Array, " N"]:
    """A permutation of all words in which each bit depends on all: MurmurHash3's last step."""
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return words ^ (words >> 16)


def _words(x: Array) -> UInt32[Array, "N M"]:
    """An array's bits, in rows of words of 32 of them; a smaller number is a word of its own."""
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        x = jnp.stack([x.real, x.imag], axis=-1)
    x = jnp.atleast_1d(x)
    if x.dtype != jnp.bool_:
        size = min(x.dtype.itemsize, 4)
        x = jax.lax.bitcast_convert_type(x, {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[size])
    return x.astype(jnp.uint32).reshape(len(x), math.prod(x.shape[1:]))
