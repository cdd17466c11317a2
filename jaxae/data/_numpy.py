"""NumPy's files, .npy and .npz: read without unpickling, checked before allocation."""

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy

from jaxae.data._promise import Promise, Readable
from jaxae.data._samples import Samples

# The names that archives of training and test samples use; the second pair is Keras'.
TRAIN_AND_TEST = (("train", "test"), ("x_train", "x_test"), ("images_train", "images_test"))
# How many names an error lists.
SHOWN = 5
# What NumPy's parser lets through of a header that is no header.
BROKEN = (MemoryError, RecursionError, SyntaxError, TokenError, TypeError, ValueError)


def read_npy(path: Path) -> np.ndarray:
    """The array in a .npy file, mapped into memory, never unpickled.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a .npy file, an array of objects, or a header that promises more bytes
            than the file holds.
    """
    with path.open("rb") as file:
        read_header(path, file).check(path.stat().st_size - file.tell())
    return np.load(path, mmap_mode="r", allow_pickle=False)


def mapped_npy(path: Path) -> Samples:
    """The samples in a .npy file, read from it as they are asked for.

    Raises:
        FileNotFoundError: no such file.
        ValueError: as `read_npy`; or samples that are not stored one after the other.
    """
    rows = read_npy(path)
    if rows.ndim == 0:
        raise ValueError(f"{path}: a single number, expected an array of samples")
    if not rows.flags.c_contiguous:
        raise ValueError(
            f"{path}: in Fortran order, in which each sample is scattered over the whole file; "
            "save it with np.save(path, np.ascontiguousarray(samples))"
        )
    # The plain view of the mapped file: NumPy's own class for it makes copies slower.
    return Samples(str(path), rows.shape, rows.dtype, np.asarray(rows).__getitem__)


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The training and test samples in a .npz archive, never unpickled.

    Args:
        path: an archive that holds `train` and `test`, or `x_train` and `x_test`, or one array.

    Returns:
        The training samples, and the test samples or None.

    Raises:
        ValueError: not an archive, names that do not tell what is what, an array of objects, or a
            header that promises more bytes than the file holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = [name for name in archive.namelist() if name.endswith(".npy")]
            train, test = _choose(path, [name.removesuffix(".npy") for name in files])
            return _member(path, archive, train), None if test is None else _member(
                path, archive, test
            )
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(f"{path}: broken .npz archive ({error})") from error


def _choose(path: Path, names: list[str]) -> tuple[str, str | None]:
    for train, test in TRAIN_AND_TEST:
        if train in names:
            return train, test if test in names else None
    if len(names) == 1:
        return names[0], None
    held = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    raise ValueError(
        f"{path}: holds {held or 'no arrays'}, expected one array, or train and test, or x_train "
        "and x_test"
    )


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        read_header(path, file).check_stream(file)
    with archive.open(info) as file:
        return npy.read_array(file, allow_pickle=False)


def read_header(path: Path, file: Readable) -> Promise:
    """What an array's header says of it.

    Raises:
        ValueError: no such header, or one of an array of objects.
    """
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    except BROKEN as error:
        raise ValueError(f"{path}: not a NumPy array, its header cannot be read") from error
    if dtype.hasobject:
        raise ValueError(
            f"{path}: holds Python objects, which are never unpickled; save numbers, e.g. "
            "np.save(path, np.stack(samples).astype('float32'))"
        )
    return Promise(path, shape, dtype)
