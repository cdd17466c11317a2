"""IDX files, the format of MNIST: a magic number, big-endian dimensions, values."""

import gzip
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from jaxae.data._promise import Promise

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file, gzipped or not.

    A header that promises more or less than the file holds is refused before the array is
    allocated: the file is read through once to count its bytes.

    Args:
        path: the file.

    Returns:
        An array of the file's shape, in the machine's byte order.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an IDX file, or truncated, or with a header that does not fit.

    References:
        Y. LeCun, C. Cortes, C. Burges, The MNIST database, "File formats",
        http://yann.lecun.com/exdb/mnist/
    """
    try:
        with _open(path) as file:
            promise = _header(path, file)
            promise.check_stream(file)
        with _open(path) as file:
            _header(path, file)
            values = np.frombuffer(file.read(promise.size), promise.dtype)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip file ({error}); fetch it again") from error
    return values.reshape(promise.shape).astype(promise.dtype.newbyteorder("="), copy=False)


def _open(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP
    return gzip.GzipFile(path) if zipped else path.open("rb")


def _header(path: Path, file: BufferedIOBase) -> Promise:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or magic[3] == 0:
        begins = f"begins with {magic.hex(' ')}" if magic else "is empty"
        raise ValueError(f"{path}: not an IDX file, it {begins}")
    dimensions = file.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise ValueError(f"{path}: truncated in its header")
    return Promise(path, struct.unpack(f">{magic[3]}I", dimensions), np.dtype(DTYPES[magic[2]]))
