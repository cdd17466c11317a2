"""Samples where they lie: any of them read at any time, and a few looked at beforehand."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxae.data._scaling import LARGEST, Scaling, scaling_of

# How many samples are looked at beforehand, and of how many bytes together.
LOOKED_AT, LOOKED_AT_BYTES = 256, 1 << 24
PIECE_BYTES = 1 << 24


class Samples(NamedTuple):
    """Samples where they lie: in a file, in many, or wherever they can be read from by index.

    Args:
        name: what they are called in errors.
        shape: of all of them, (N, *feature_shape).
        dtype: of their values.
        read: the samples of an array of indices, along the leading axis; several threads call it at
            once.
        full_scale: what integers are divided by, where a file format fixes it.

    Example:
        >>> rows = np.eye(3)
        >>> Samples("eye", rows.shape, rows.dtype, rows.__getitem__).read(np.array([2]))
        array([[0., 0., 1.]])
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Int[np.ndarray, " B"]], np.ndarray]
    full_scale: int | None = None

    @property
    def bytes_a_sample(self) -> int:
        """The size of one."""
        return max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)

    def chosen(self, index: Int[np.ndarray, " M"]) -> "Samples":
        """Those of an array of indices, in its order."""
        shape = (len(index), *self.shape[1:])
        return self._replace(shape=shape, read=lambda places: self.read(index[places]))

    def some(self) -> np.ndarray:
        """A few of the samples, always the same ones, from the first to the last."""
        few = min(LOOKED_AT, max(1, LOOKED_AT_BYTES // self.bytes_a_sample), self.shape[0])
        return self.read(np.unique(np.linspace(0, self.shape[0] - 1, few).astype(np.int64)))

    def scaling(self) -> Scaling:
        """How they are brought into [0, 1], as `load` would do it.

        A few samples tell, unless they are whole numbers without the full scale of 8 or 16 bits:
        then all are read once, to know the largest.

        Raises:
            TypeError: values that are not real numbers.
            ValueError: NaN, infinity, negative values, or fractions above 1.
        """
        scaling = scaling_of(self.name, self.some(), self.full_scale)
        if not scaling.sentence.endswith(LARGEST):
            return scaling
        extremes = [extreme(piece) for piece in self._pieces() for extreme in (np.min, np.max)]
        return scaling_of(self.name, np.asarray(extremes, self.dtype))

    def _pieces(self) -> Iterator[np.ndarray]:
        """All samples in their order, a few megabytes at a time."""
        size = max(1, PIECE_BYTES // self.bytes_a_sample)
        for start in range(0, self.shape[0], size):
            yield self.read(np.arange(start, min(start + size, self.shape[0])))
