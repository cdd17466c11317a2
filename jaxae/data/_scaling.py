"""Values brought into [0, 1], and a sentence that says how."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

FORMAT = "the full scale of the file format"
LARGEST = "the largest value"


class Scaling(NamedTuple):
    """How values are brought into [0, 1].

    Args:
        divisor: what they are divided by; None leaves them as they are.
        sentence: what is done, in words.

    Example:
        >>> Scaling(16, "divided by 16")(np.array([0, 8, 16]))
        array([0. , 0.5, 1. ], dtype=float32)
    """

    divisor: int | None
    sentence: str

    def __call__(self, samples: np.ndarray) -> Float[np.ndarray, "..."]:
        """Samples as float32, scaled."""
        if self.divisor is None:
            return samples.astype(np.float32, copy=False)
        dtype = np.promote_types(samples.dtype, np.float32)
        return np.divide(samples, self.divisor, dtype=dtype).astype(np.float32, copy=False)


def scale(
    name: str, samples: np.ndarray, full_scale: int | None = None
) -> tuple[Float[np.ndarray, "..."], str]:
    """Samples as float32 in [0, 1].

    Integers, and floats that hold whole numbers, are divided by a full scale: 255 or 65535 where
    the largest value needs all of 8 or 16 bits, else the largest value itself (16 for the UCI
    digits). Values in [0, 1] are left as they are, unless the file format fixes a full scale.

    Args:
        name: what the samples are called in errors.
        samples: an array of booleans, integers or floats.
        full_scale: what integers are divided by, where a file format fixes it.

    Returns:
        The scaled samples, and one sentence on what was done.

    Raises:
        TypeError: an array of something else than real numbers.
        ValueError: NaN, infinity, negative values, or fractions above 1.

    Example:
        >>> scale("pixels", np.array([0, 8, 16]))
        (array([0. , 0.5, 1. ], dtype=float32), 'divided by 16, the largest value')
    """
    scaling = scaling_of(name, samples, full_scale)
    return scaling(samples), scaling.sentence


def scaling_of(name: str, samples: np.ndarray, full_scale: int | None = None) -> Scaling:
    """How `scale` brings samples into [0, 1]; its arguments and errors are that function's."""
    if samples.dtype.kind not in "buif":
        raise TypeError(f"{name}: values of dtype {samples.dtype}, expected real numbers")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise ValueError(f"{name}: the values hold NaN or infinity; remove or replace them first")
    low, high = samples.min(), samples.max()
    if low < 0:
        raise ValueError(
            f"{name}: values from {low:g} to {high:g}, expected [0, 1] or non-negative integers; "
            "scale them first, e.g. (x - x.min()) / (x.max() - x.min())"
        )
    if full_scale is None and high <= 1:
        return Scaling(None, "left as they are, in [0, 1]")
    if samples.dtype.kind == "f" and not (samples == np.round(samples)).all():
        raise ValueError(
            f"{name}: fractions from {low} to {high}, expected [0, 1] or whole numbers; divide "
            "them by their full scale first"
        )
    full_scale, reason = _full_scale(int(high)) if full_scale is None else (full_scale, FORMAT)
    return Scaling(full_scale, f"divided by {full_scale}, {reason}")


def _full_scale(high: int) -> tuple[int, str]:
    for bits in (8, 16):
        if 1 << bits - 1 <= high < 1 << bits:
            return (1 << bits) - 1, f"the full scale of {bits}-bit integers"
    return high, LARGEST
