"""Files that promise more than they hold: refused before anything is allocated."""

import math
from io import BufferedIOBase
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

PIECE = 1 << 20
# zipfile says the latter and gives the former.
Readable = BufferedIOBase | IO[bytes]


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
        """Raise a ValueError unless exactly the promised bytes, one or more, follow the header."""
        if self.size == 0:
            raise ValueError(f"{self.path}: empty, an array of shape {self.shape}")
        if min(self.shape, default=0) < 0 or self.size != held:
            fault = "truncated" if self.size > held else "longer than that"
            raise ValueError(
                f"{self.path}: the header promises shape {self.shape}, {self.size:,} bytes, and "
                f"{held:,} follow it; the file is {fault}, or not what it says"
            )

    def check_stream(self, file: Readable) -> None:
        """As `check`, for a file whose bytes are counted by reading it to its end, in pieces."""
        self.check(sum(len(piece) for piece in iter(lambda: file.read(PIECE), b"")))
