"""Focal frequency error: squared errors of spectra, the more weighted the further off."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._error import SAMPLE, takes
from jaxae.losses._hyperparameters import check_not_negative, store_python_numbers
from jaxae.losses._loss import Loss
from jaxae.losses._planes import planes_of
from jaxae.losses._scale import magnitude


@takes(SAMPLE)
@dataclasses.dataclass(frozen=True)
class FocalFrequencyError:
    """Weighted squared error between the spectra of two images, averaged over frequencies.

    e = mean w |F|²,  F = FFT(p − y),  w = (|F| / max |F|)^α

    In the square of the target's unit. The transform is orthonormal and taken of each channel, as
    is the maximum; channels are averaged. As in the paper the weights are constants to the
    derivative, which is therefore not that of the value: it is 2/(H·W·C) FFT⁻¹(w F). With α = 0
    both are those of the mean squared error.

    Args:
        alpha: α ≥ 0, how much the error dwells on the frequencies that are off.

    Raises:
        ValueError: a negative or infinite alpha; when called, a sample that is not an image.

    Example:
        >>> y = jnp.zeros((2, 2))
        >>> p = jnp.array([[1.0, 0.0], [0.0, 0.0]])
        >>> float(FocalFrequencyError()(p, y)), float(FocalFrequencyError()(y, y))
        (0.25, 0.0)

    References:
        Jiang, Dai, Wu & Loy, Focal frequency loss for image reconstruction and synthesis, ICCV
        2021, eq. 8 and 9, https://arxiv.org/abs/2012.12821
    """

    alpha: float = 1.0

    def __post_init__(self):
        check_not_negative("alpha", self.alpha)
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, ""]:
        difference = planes_of(prediction) - planes_of(target)
        spectrum = jnp.fft.rfft2(difference, norm="ortho")
        real, imaginary = spectrum.real, spectrum.imag
        weights = self._weights(real, imaginary) * _multiplicity(difference)
        # In this order a weight of 0 never meets an overflow.
        squares = (weights * real) * real + (weights * imaginary) * imaginary
        return jnp.sum(squares) / difference.size

    def _weights(self, real: Array, imaginary: Array) -> Array:
        sizes = magnitude(*jax.lax.stop_gradient((real, imaginary)))
        largest = jnp.max(sizes, (-2, -1), keepdims=True)
        return (sizes / jnp.where(largest == 0, 1, largest)) ** self.alpha


def _multiplicity(planes: Array) -> Array:
    """How often each frequency of a half spectrum stands in the whole one: once or twice."""
    width = planes.shape[-1]
    columns = jnp.arange(width // 2 + 1)
    once = (columns == 0) | (2 * columns == width)
    return jnp.where(once, 1, 2).astype(planes.dtype)[None, None]


focal_frequency = Loss(FocalFrequencyError()).documented(
    "focal_frequency",
    """Focal frequency error of images, averaged over samples: Σ w |FFT(p − y)|² / (N·H·W·C).

    In the square of the target's unit. Each sample is an image (H, W) or (H, W, C). The weights
    w = |F| / max |F| are constants to the derivative.

    Example:
        >>> import jax.numpy as jnp
        >>> float(focal_frequency(jnp.array([[[1.0, 0.0], [0.0, 0.0]]]), jnp.zeros((1, 2, 2))))
        0.25

    References:
        Jiang, Dai, Wu & Loy, Focal frequency loss for image reconstruction and synthesis, ICCV
        2021, eq. 8 and 9, https://arxiv.org/abs/2012.12821
    """,
)

__test__ = {focal_frequency.name: focal_frequency.__doc__}
