"""Structural similarity: how local means, contrasts and patterns of two images differ."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._error import SAMPLE, takes
from jaxae.losses._hyperparameters import (
    as_tuple,
    check_positive,
    check_whole,
    store_python_numbers,
)
from jaxae.losses._loss import Loss
from jaxae.losses._planes import gaussian_taps, moments, planes_of


@takes(SAMPLE)
@dataclasses.dataclass(frozen=True)
class StructuralDissimilarity:
    """1 − SSIM of one image, averaged over places and channels, without unit.

    1 − SSIM = a + b − ab,  a = (μ_p − μ_y)² / (μ_p² + μ_y² + (k₁L)²)
                            b = σ²_{p−y} / (σ_p² + σ_y² + (k₂L)²)

    μ and σ² are means and variances under a Gaussian window. This is 1 − l·c of the paper, l = 1 −
    a (luminance) and c = 1 − b (contrast and structure), written so that no digits cancel where
    the images are nearly equal or nearly constant. As in tf.image.ssim and in scikit-image with
    `gaussian_weights=True, use_sample_covariance=False`, only windows that lie wholly inside count,
    variances are divided by Σ w, and channels are averaged. There is no ½ (DSSIM has one). An image
    beyond 1e8 L is compared after a division by its largest number.

    Args:
        max_value: L, the range of the target's numbers: 1, or 255 for those of bytes.
        window: side of the window in pixels, odd.
        sigma: standard deviation of the window in pixels.
        k1: keeps the luminance term from dividing by 0.
        k2: keeps the contrast term from dividing by 0.

    Raises:
        ValueError: a hyperparameter that is not positive and finite, or a window that is not odd;
            when called, a sample that is not an image or is smaller than the window.

    Example:
        >>> y = jnp.tile(jnp.arange(12.0) / 12, (12, 1))
        >>> error = StructuralDissimilarity()
        >>> float(error(y, y)), round(float(error(1 - y, y)), 3)
        (0.0, 1.918)
        >>> error.local(y[:, ::-1], y).shape
        (2, 2)

    References:
        Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to
        structural similarity, IEEE Transactions on Image Processing 13(4), 2004, eq. 13,
        https://doi.org/10.1109/TIP.2003.819861
    """

    max_value: float = 1.0
    window: int = 11
    sigma: float = 1.5
    k1: float = 0.01
    k2: float = 0.03

    def __post_init__(self):
        _check_window(self)
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, ""]:
        return jnp.mean(self.local(prediction, target))

    def local(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """1 − SSIM at each place where the window fits.

        Args:
            prediction: one image, (H, W) or (H, W, C).
            target: of the same shape.

        Returns:
            An array (H − window + 1, W − window + 1) or the same with C, in [0, 2].
        """
        advice = f"pass a smaller window than window={self.window}, or pad"
        a, b = self.terms(*(planes_of(x, self.window, advice) for x in (prediction, target)))
        errors = a + b - a * b
        return errors[0] if prediction.ndim == 2 else jnp.moveaxis(errors, 0, -1)

    def terms(self, prediction: Array, target: Array) -> tuple[Array, Array]:
        """1 − luminance and 1 − contrast-structure at each place, of planes (C, H, W)."""
        scale = self._scale(prediction, target)
        p, y, d = (x / scale for x in (prediction, target, prediction - target))
        taps = gaussian_taps(self.window, self.sigma)
        mean, variance = moments(taps, jnp.stack([p, y, d]))
        # 1e-18 is the smallest number whose square can still be divided by.
        c1, c2 = (
            jnp.maximum((k * (self.max_value / scale)) ** 2, 1e-18) for k in (self.k1, self.k2)
        )
        luminance = mean[2] ** 2 / (mean[0] ** 2 + mean[1] ** 2 + c1)
        return luminance, variance[2] / (variance[0] + variance[1] + c2)

    def _scale(self, prediction: Array, target: Array) -> Array:
        largest = jnp.maximum(jnp.max(abs(prediction)), jnp.max(abs(target)))
        huge = jnp.where(largest > 1e8 * self.max_value, largest, self.max_value)
        return jax.lax.stop_gradient(huge)


@takes(SAMPLE)
@dataclasses.dataclass(frozen=True)
class MultiScaleStructuralDissimilarity:
    """1 − MS-SSIM of one image, averaged over channels, without unit.

    1 − MS-SSIM = 1 − Π_j (mean c_j)^w_j,  with l·c in place of c at the coarsest scale

    l and c are those of `StructuralDissimilarity`, averaged over the places of a scale. Each scale
    is the one before averaged over 2×2 pixels; an odd last row or column is repeated first, as in
    tf.image.ssim_multiscale. Where a scale's mean is not positive the product is 0, as it is there:
    the error is 1, with zero gradient.

    Args:
        weights: w_j, one for each scale, finest first; the default is the paper's five.
        max_value: L, the range of the target's numbers.
        window: side of the window in pixels, odd.
        sigma: standard deviation of the window in pixels.
        k1: keeps the luminance term from dividing by 0.
        k2: keeps the contrast term from dividing by 0.

    Raises:
        ValueError: a hyperparameter that is not positive and finite, a window that is not odd, or
            no weights; when called, a sample that is not an image or whose coarsest scale the
            window does not fit.

    Example:
        >>> y = jnp.tile(jnp.arange(24.0) / 24, (24, 1))
        >>> error = MultiScaleStructuralDissimilarity(weights=(0.5, 0.5))
        >>> float(error(y, y)), round(float(error(y**2, y)), 4)
        (0.0, 0.1375)

    References:
        Wang, Simoncelli & Bovik, Multiscale structural similarity for image quality assessment,
        Asilomar Conference on Signals, Systems & Computers, 2003, eq. 7,
        https://doi.org/10.1109/ACSSC.2003.1292216
    """

    weights: tuple[float, ...] = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    max_value: float = 1.0
    window: int = 11
    sigma: float = 1.5
    k1: float = 0.01
    k2: float = 0.03

    def __post_init__(self):
        object.__setattr__(self, "weights", as_tuple("weights", self.weights))
        for weight in self.weights:
            check_positive("a weight", weight)
        _check_window(self)
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, ""]:
        scales = len(self.weights)
        smallest = (self.window - 1) * 2 ** (scales - 1) + 1
        advice = f"pass fewer weights than these {scales}, or a smaller window than {self.window}"
        finer = tuple(planes_of(x, smallest, advice) for x in (prediction, target))
        losses = []
        for scale in range(scales):
            a, b = self._one_scale.terms(*finer)
            error = a + b - a * b if scale == scales - 1 else b
            losses.append(jnp.mean(error, (-2, -1)))
            finer = tuple(_halve(x) for x in finer)
        return jnp.mean(_one_minus_product(losses, self.weights))

    @property
    def _one_scale(self) -> StructuralDissimilarity:
        return StructuralDissimilarity(self.max_value, self.window, self.sigma, self.k1, self.k2)


def structural_similarity(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    max_value: float = 1.0,
    window: int = 11,
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Float[Array, ""]:
    """The structural similarity index of ONE image, SSIM, averaged over places and channels.

    1 − `StructuralDissimilarity`; of a batch of images in [0, 1] it is `1 - ssim.per_sample(…)`.

    Args:
        prediction: one image, (H, W) or (H, W, C), floating point; short floats become float32.
        target: of the same shape; integers are converted.
        max_value: the range of the target's numbers: 1, or 255 for bytes.
        window: side of the window in pixels, odd.
        sigma: standard deviation of the window in pixels.
        k1: keeps the luminance term from dividing by 0.
        k2: keeps the contrast term from dividing by 0.

    Returns:
        A scalar without unit, in [−1, 1]; 1 where both are equal.

    Raises:
        TypeError: an integer prediction.
        ValueError: shapes that differ, and as `StructuralDissimilarity`.

    Example:
        >>> y = jnp.tile(jnp.arange(12.0) / 12, (12, 1))
        >>> float(structural_similarity(y, y)), round(float(structural_similarity(1 - y, y)), 3)
        (1.0, -0.918)

    References:
        Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to
        structural similarity, IEEE Transactions on Image Processing 13(4), 2004, eq. 13,
        https://doi.org/10.1109/TIP.2003.819861
    """
    error = StructuralDissimilarity(max_value, window, sigma, k1, k2)
    (prediction, target), _ = Loss(error).converted((prediction, target), None, None)
    return 1 - error(prediction, target)


def _check_window(error: StructuralDissimilarity | MultiScaleStructuralDissimilarity) -> None:
    for name in ("max_value", "sigma", "k1", "k2"):
        check_positive(name, getattr(error, name))
    check_whole("window", error.window, 1)
    if error.window % 2 == 0:
        raise ValueError(f"window is {error.window}, expected an odd number of pixels")


def _halve(planes: Array) -> Array:
    """The means of 2×2 pixels of (C, H, W), an odd last row or column repeated."""
    _, height, width = planes.shape
    padded = jnp.pad(planes, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    # By slices: faster than by a reshape, which sharded arrays do not have along two axes at once.
    columns = padded[:, :, ::2] + padded[:, :, 1::2]
    return (columns[:, ::2] + columns[:, 1::2]) / 4


def _one_minus_product(losses: list[Array], weights: tuple[float, ...]) -> Array:
    """1 − Π (1 − loss)^weight, and 1 where a loss is 1 or more."""
    positive = functools.reduce(jnp.logical_and, [loss < 1 for loss in losses])
    logarithms = [
        weight * jnp.log1p(-jnp.where(positive, loss, 0))
        for weight, loss in zip(weights, losses, strict=True)
    ]
    return jnp.where(positive, -jnp.expm1(functools.reduce(jnp.add, logarithms)), 1)


ssim = Loss(StructuralDissimilarity()).documented(
    "ssim",
    """Structural dissimilarity of images in [0, 1], averaged over samples: Σ (1 − SSIM) / N.

    Without unit, in [0, 2]. Each sample is an image (H, W) or (H, W, C) of 11 pixels or more on
    each side, with numbers from 0 to 1; for others `Loss(StructuralDissimilarity(max_value=255))`.
    Each image's index is `1 - ssim.per_sample(predictions, targets)`.

    Example:
        >>> import jax.numpy as jnp
        >>> Y = jnp.tile(jnp.arange(12.0) / 12, (2, 12, 1))
        >>> float(ssim(Y, Y)), round(float(ssim(1 - Y, Y)), 3)
        (0.0, 1.918)

    References:
        Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to
        structural similarity, IEEE Transactions on Image Processing 13(4), 2004, eq. 13,
        https://doi.org/10.1109/TIP.2003.819861
    """,
)

ms_ssim = Loss(MultiScaleStructuralDissimilarity()).documented(
    "ms_ssim",
    """Multi-scale structural dissimilarity of images in [0, 1]: Σ (1 − MS-SSIM) / N.

    Without unit, in [0, 2]. Each sample is an image (H, W) or (H, W, C) of 161 pixels or more on
    each side; for smaller ones pass fewer weights, e.g.
    `Loss(MultiScaleStructuralDissimilarity(weights=(0.3, 0.7)))`.

    Example:
        >>> import jax.numpy as jnp
        >>> Y = jnp.tile(jnp.arange(161.0) / 161, (1, 161, 1))
        >>> float(ms_ssim(Y, Y)), round(float(ms_ssim(Y**2, Y)), 3)
        (0.0, 0.072)

    References:
        Wang, Simoncelli & Bovik, Multiscale structural similarity for image quality assessment,
        Asilomar Conference on Signals, Systems & Computers, 2003, eq. 7,
        https://doi.org/10.1109/ACSSC.2003.1292216
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (ssim, ms_ssim)}
