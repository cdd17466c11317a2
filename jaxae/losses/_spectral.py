"""Multi-scale spectral error: magnitudes of short-time spectra of a series, at several windows."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._elementary import absolute
from jaxae.losses._error import SAMPLE, takes
from jaxae.losses._hyperparameters import (
    as_tuple,
    check_from_to,
    check_not_negative,
    check_whole,
    store_python_numbers,
)
from jaxae.losses._loss import Loss
from jaxae.losses._scale import magnitude


@takes(SAMPLE)
@dataclasses.dataclass(frozen=True)
class SpectralError:
    """Error between magnitudes of short-time spectra of one series, added over windows.

    e = Σ_windows mean |S_p − S_y| + log_weight · mean |log max(S_p, floor) − log max(S_y, floor)|

    S are the magnitudes of the Fourier transforms of overlapping frames under a periodic Hann
    window. The first part is in the series' unit, the logarithms' has none. The means are over
    frames, frequencies and channels. As in DDSP's code a frame begins at every step within the
    series and the end is padded by zeros; phases do not count; the series' first number has weight
    0, because a Hann window begins at 0. Derivatives are 0 where magnitudes are 0 or equal.

    Args:
        windows: lengths of the frames, in steps of the series.
        overlap: the part of a frame that the next one covers, such that a whole number of hops
            makes a window: 0.5, 0.75.
        log_weight: weight of the logarithms' error, 0 or more, in the series' unit.
        floor: magnitudes below it count as this much in the logarithm, in the series' unit.

    Raises:
        ValueError: a hyperparameter out of its range; when called, a sample that is not a series
            (T,) or (T, C), or is shorter than a window.

    Example:
        >>> error = SpectralError(windows=(16, 8))
        >>> t = jnp.arange(32.0)
        >>> float(error(jnp.sin(t), jnp.sin(t))), float(error(-jnp.sin(t), jnp.sin(t)))
        (0.0, 0.0)
        >>> float(error(jnp.sin(t), jnp.sin(2 * t))) > 1
        True

    References:
        Engel, Hantrakul, Gu & Roberts, DDSP: differentiable digital signal processing, ICLR 2020,
        section 4.2.1, https://arxiv.org/abs/2001.04643
    """

    windows: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64)
    overlap: float = 0.75
    log_weight: float = 1.0
    floor: float = 1e-5

    def __post_init__(self):
        object.__setattr__(self, "windows", as_tuple("windows", self.windows))
        check_from_to("overlap", self.overlap, 0, 1)
        check_not_negative("log_weight", self.log_weight)
        check_from_to("floor", self.floor, 2.0**-126, 2.0**126)  # normal numbers in float32
        for window in self.windows:
            self._check_window(window)
        store_python_numbers(self)

    def _check_window(self, window: int) -> None:
        check_whole("a window", window, 1)
        hop = self._hop(window)
        if hop < 1 or window % hop or abs(hop - window * (1 - self.overlap)) > 1e-6:
            raise ValueError(
                f"windows of {window} overlap by {self.overlap}, expected a whole number of "
                "hops in a window, such as overlap=0.75 for multiples of 4"
            )

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, ""]:
        pair = _channels(prediction), _channels(target)
        if pair[0].shape[-1] < max(self.windows):
            raise ValueError(
                f"a sample has shape {prediction.shape}, expected {max(self.windows)} steps or "
                "more; pass windows= that are not longer than the series"
            )
        return functools.reduce(jnp.add, [self._error(*pair, window) for window in self.windows])

    def _error(self, prediction: Array, target: Array, window: int) -> Array:
        p, y = (_magnitudes(x, window, self._hop(window)) for x in (prediction, target))
        log_p, log_y = (jnp.log(jnp.maximum(x, self.floor)) for x in (p, y))
        return _mean_distance(p, y) + self.log_weight * _mean_distance(log_p, log_y)

    def _hop(self, window: int) -> int:
        return round(window * (1 - self.overlap))


def _channels(series: Array) -> Array:
    """A series (T,) or (T, C) as (C, T)."""
    if series.ndim not in (1, 2):
        raise ValueError(
            f"a sample has shape {series.shape}, expected a series (time,) or (time, channels)"
        )
    return series[None] if series.ndim == 1 else series.T


def _frames(series: Array, window: int, hop: int) -> Array:
    """Frames (..., frames, window) under a Hann window; one begins at every hop, zeros follow."""
    *_, steps = series.shape
    count, hops = -(-steps // hop), window // hop
    padding = [(0, 0)] * (series.ndim - 1) + [(0, (count + hops - 1) * hop - steps)]
    blocks = jnp.pad(series, padding).reshape(*series.shape[:-1], count + hops - 1, hop)
    # Slices of blocks: their derivative is a sum, where that of a gather is a scatter.
    views = [jax.lax.slice_in_dim(blocks, k, k + count, axis=-2) for k in range(hops)]
    phase = jnp.arange(window, dtype=series.dtype) * (2 * math.pi / window)
    hann = (0.5 - 0.5 * jnp.cos(phase)).reshape((1,) * series.ndim + (window,))
    return jnp.concatenate(views, -1) * hann


def _magnitudes(series: Array, window: int, hop: int) -> Array:
    spectrum = jnp.fft.rfft(_frames(series, window, hop))
    return magnitude(spectrum.real, spectrum.imag)


def _mean_distance(a: Array, b: Array) -> Array:
    return jnp.mean(absolute(a - b))


multi_scale_spectral = Loss(SpectralError()).documented(
    "multi_scale_spectral",
    """Multi-scale spectral error of series, Σ e / N: magnitudes and logarithms at six windows.

    Differences of magnitudes are in the series' unit, those of logarithms without one. Each sample
    is a series (T,) or (T, C) of 2048 steps or more; for shorter ones pass windows that fit, e.g.
    `Loss(SpectralError(windows=(256, 128, 64)))`.

    Example:
        >>> import jax.numpy as jnp
        >>> Y = jnp.sin(jnp.arange(2048.0))[None]
        >>> float(multi_scale_spectral(Y, Y)), float(multi_scale_spectral(2 * Y, Y)) > 1
        (0.0, True)

    References:
        Engel, Hantrakul, Gu & Roberts, DDSP: differentiable digital signal processing, ICLR 2020,
        section 4.2.1, https://arxiv.org/abs/2001.04643
    """,
)

__test__ = {multi_scale_spectral.name: multi_scale_spectral.__doc__}
