"""Perceptual error: the distance between what a network makes of two samples."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._cosine import between_directions
from jaxae.losses._elementary import lengthened
from jaxae.losses._error import SAMPLE, takes


@takes(SAMPLE)
@dataclasses.dataclass(frozen=True)
class PerceptualError:
    """Squared error between features of two samples, averaged in each layer, added over layers.

    e = Σ_layers mean (f(p) − f(y))²

    In the square of the features' unit. The features are a function of yours, from one sample to an
    array or a tree of arrays, one for each layer. With `normalise_channels` the features along the
    last axis are divided by their length first, and their squared errors are added over that axis
    and averaged over the others: LPIPS with all its weights 1. Both samples' features are
    differentiated.

    The error is equal to another of the same function. A function that is built again, such as a
    lambda or a new `functools.partial`, is another one, and compiles again: build it once.

    Args:
        features: one sample → an array or a tree of arrays; pure and hashable.
        normalise_channels: whether features along the last axis are compared by direction only.

    Raises:
        TypeError: features that cannot be called or hashed.
        ValueError: when called, features without an array, or none along a last axis.

    Example:
        >>> from jaxae.losses import Loss
        >>> def edges(image):
        ...     return {"rows": jnp.diff(image, axis=0), "columns": jnp.diff(image, axis=1)}
        >>> perceptual = Loss(PerceptualError(edges))
        >>> A, Y = jnp.array([[[0.0, 1.0], [0.0, 3.0]]]), jnp.zeros((1, 2, 2))
        >>> float(perceptual(A, Y)), float(perceptual(A, A + 1))
        (7.0, 0.0)

    References:
        Johnson, Alahi & Fei-Fei, Perceptual losses for real-time style transfer and
        super-resolution, ECCV 2016, eq. 2, https://arxiv.org/abs/1603.08155
        Zhang, Isola, Efros, Shechtman & Wang, The unreasonable effectiveness of deep features as a
        perceptual metric, CVPR 2018, eq. 1, https://arxiv.org/abs/1801.03924
    """

    features: Callable[[Array], Any]
    normalise_channels: bool = False

    def __post_init__(self):
        if not callable(self.features):
            raise TypeError(f"features is {self.features!r}, expected a function of one sample")
        try:
            hash(self.features)
        except TypeError:
            raise TypeError(
                f"features is {self.features!r}, which has no hash, expected e.g. a function or a "
                "frozen dataclass, so that an equal loss is not compiled again"
            ) from None

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, ""]:
        layers = jax.tree.map(self._layer, self.features(prediction), self.features(target))
        errors = [error.astype(prediction.dtype) for error in jax.tree.leaves(layers)]
        if not errors:
            raise ValueError("the features hold no arrays, expected one for each layer")
        return functools.reduce(jnp.add, errors)

    def _layer(self, prediction: Array, target: Array) -> Array:
        prediction, target = lengthened(prediction), lengthened(target)
        if not self.normalise_channels:
            return jnp.mean((prediction - target) ** 2)
        if prediction.ndim == 0:
            raise ValueError("a layer is a scalar, expected features along a last axis")
        apart = between_directions(prediction, target)
        return jnp.mean(jnp.sum(apart * apart, -1))
