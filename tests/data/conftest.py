"""Files that tests write, and the memory that reading them takes."""

import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

IDX_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


@pytest.fixture(scope="session")
def idx_header() -> Callable[[str, tuple[int, ...]], bytes]:
    """An IDX header for a dtype and a shape, true or not: magic number, big-endian dimensions."""

    def header(dtype: str, shape: tuple[int, ...]) -> bytes:
        magic = bytes([0, 0, IDX_CODES[dtype], len(shape)])
        return magic + struct.pack(f">{len(shape)}I", *shape)

    return header


@pytest.fixture(scope="session")
def idx(idx_header) -> Callable[[np.ndarray], bytes]:
    """An array as the bytes of an IDX file."""

    def encode(array: np.ndarray) -> bytes:
        values = array.astype(array.dtype.newbyteorder(">")).tobytes()
        return idx_header(array.dtype.str[1:], array.shape) + values

    return encode


@pytest.fixture
def little_memory() -> Callable[[], AbstractContextManager[None]]:
    """A context in which less than 8 MiB may be allocated at once."""

    @contextmanager
    def context() -> Iterator[None]:
        tracemalloc.start()
        try:
            yield
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()

    return context
