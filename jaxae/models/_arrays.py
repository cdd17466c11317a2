"""A model applied to arrays of any length: jitted, in pieces, so that memory is bounded."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxae.models._autoencoder import Autoencoder


def encode(
    model: Autoencoder, X: ArrayLike, *, batch_size: int = 1024
) -> Float[np.ndarray, "N ..."]:
    """The latents of N samples.

    Args:
        model: an autoencoder.
        X: samples, shape (N, *feature_shape).
        batch_size: how many samples are on the device at once.

    Returns:
        Latents on the host, shape (N, *latent_shape).

    Example:
        >>> from jaxae.models import MLPAutoencoder
        >>> encode(MLPAutoencoder((8, 8), (16, 4)), np.zeros((100, 8, 8), np.float32)).shape
        (100, 4)
    """
    return _in_batches(_encode, model, X, batch_size)


def decode(
    model: Autoencoder, Z: ArrayLike, *, batch_size: int = 1024
) -> Float[np.ndarray, "N ..."]:
    """The means of the likelihood at N latents: what `reconstruct` gives for their samples.

    Args:
        model: an autoencoder.
        Z: latents, shape (N, *latent_shape).
        batch_size: how many samples are on the device at once.

    Returns:
        Means on the host, shape (N, *feature_shape), on the scale of the data.
    """
    return _in_batches(_decode, model, Z, batch_size)


def reconstruct(
    model: Autoencoder, X: ArrayLike, *, batch_size: int = 1024
) -> Float[np.ndarray, "N ..."]:
    """The reconstructions of N samples: the likelihood's link applied to the predictions.

    Args:
        model: an autoencoder.
        X: samples, shape (N, *feature_shape).
        batch_size: how many samples are on the device at once.

    Returns:
        Reconstructions on the host, of X's shape, on the scale of the data.

    Example:
        >>> from jaxae.models import MLPAutoencoder
        >>> X = np.zeros((3, 8, 8), np.float32)
        >>> reconstruct(MLPAutoencoder((8, 8), (16, 4)), X).max()
        np.float32(0.5)
    """
    return _in_batches(_reconstruct, model, X, batch_size)


def _encode(model: Autoencoder, x):
    return model.encode(x)


def _decode(model: Autoencoder, z):
    return model.likelihood.link(model.decode(z))


def _reconstruct(model: Autoencoder, x):
    return model.likelihood.link(model(x).prediction)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _vmapped(function: Callable, graphdef, state, rows):
    model = nnx.merge(graphdef, state)
    model.eval()
    return jax.vmap(functools.partial(function, model))(rows)


def _in_batches(function: Callable, model: Autoencoder, rows: ArrayLike, batch_size: int):
    graphdef, state = nnx.split(model)
    state = nnx.as_pure(state)
    rows = rows if isinstance(rows, jax.Array) else np.asarray(rows)
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    size = max(1, min(batch_size, len(rows)))
    pieces = []
    for start in range(0, max(1, len(rows)), size):
        piece = jnp.asarray(rows[start : start + size])
        padded = jnp.pad(piece, [(0, size - len(piece))] + [(0, 0)] * (piece.ndim - 1))
        pieces.append(np.asarray(_vmapped(function, graphdef, state, padded))[: len(piece)])
    return np.concatenate(pieces)
