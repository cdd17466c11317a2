"""Files that promise more than they hold: refused before anything is allocated."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

# What DEFLATE can compress by at most (zlib's technical details: 1032:1).
LARGEST_RATIO = 1032


class Promise(NamedTuple):
    """What a file's header says that follows it.

    Args:
        path: the file, for errors.
        shape: of the array.
        dtype: of its values.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """The array's size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self, held: int) -> None:
        """Raise a ValueError unless exactly the promised bytes follow the header."""
        if min(self.shape, default=0) < 0 or self.size != held:
            fault = "truncated" if self.size > held else "longer than that"
            raise ValueError(
                f"{self.path}: the header promises shape {self.shape}, {self.size:,} bytes, and "
                f"{held:,} follow it; the file is {fault}, or not what it says"
            )

    def check_compressed(self, compressed: int) -> None:
        """Raise a ValueError if no stream of this many compressed bytes can hold the array."""
        if self.size > compressed * LARGEST_RATIO:
            raise ValueError(
                f"{self.path}: the header promises shape {self.shape}, {self.size:,} bytes, more "
                f"than {compressed:,} compressed bytes can hold; the file is truncated, or not "
                "what it says"
            )
