"""Load: a name or a path becomes a Dataset."""

import os
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxae._lookup import unknown
from jaxae.data._dataset import Dataset
from jaxae.data._idx import GZIP, read_idx
from jaxae.data._images import read_images
from jaxae.data._mnist import SOURCES, download, holds_mnist, read_mnist
from jaxae.data._numpy import read_npy, read_npz
from jaxae.data._scaling import scale
from jaxae.data._split import split

NAMES = ("digits", *SOURCES)
Samples = tuple[np.ndarray, np.ndarray | None]
Read = TypeVar("Read")


def load(name_or_path: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> Dataset:
    """Samples to train and to test on, scaled to [0, 1].

    Args:
        name_or_path: `digits` (UCI optical digits, 1,797 images of 8×8, in the package), `mnist` or
            `fashion-mnist`; or the path of a .npy, .npz or IDX file, or of a folder of images.
        data_dir: the folder that holds the IDX files of `mnist` or `fashion-mnist`; without it they
            are downloaded once, with their checksums, to the user's cache.

    Returns:
        A Dataset. Integers are divided by a full scale, and `scaling` says which. Data that come
        in one piece are split, always in the same way: a fifth is for testing.

    Raises:
        FileNotFoundError: no such file or folder.
        TypeError: values that are not real numbers.
        ValueError: an unknown name; a file that is broken or not what it says; data that are empty,
            not finite, negative, of several sizes, or Python objects, which are never unpickled.
        ModuleNotFoundError: a package that this source needs is missing.

    Example:
        >>> load("digits")
        Dataset(digits: 1,438 train and 359 test samples of 8×8; divided by 16, the largest value;
        a fifth drawn for testing)
    """
    name = os.fspath(name_or_path)
    if not name:
        raise ValueError(f"no name or path, expected one of {', '.join(NAMES)}, or a path")
    folder = None if data_dir is None else Path(data_dir).expanduser()
    train, test, full_scale = _read(name, folder)
    _check_samples(name, train, test)
    drawn = "a fifth drawn for testing" if test is None else "tested on its own test samples"
    train, test = split(name, train) if test is None else (train, test)
    scaled, scaling = scale(name, np.concatenate([train, test]), full_scale)
    return Dataset(name, scaled[: len(train)], scaled[len(train) :], scaling, drawn)


def _read(name: str, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray | None, int | None]:
    if name == "digits":
        return _digits(), None, None
    if name in SOURCES:
        train, test = download(name) if data_dir is None else read_mnist(data_dir)
        return train, test, None
    path = Path(name).expanduser()
    if not path.exists():
        raise _missing(name, path)
    if path.is_file():
        return *_read_file(path), None
    return (*read_mnist(path), None) if holds_mnist(path) else read_images(path)


def _digits() -> np.ndarray:
    with resources.as_file(resources.files("jaxae.data") / "digits.npz") as path:
        return np.load(path, allow_pickle=False)["images"]


def _read_file(path: Path) -> Samples:
    readers: dict[bytes, Callable[[Path], Samples]] = {
        b"\x93N": lambda path: (read_npy(path), None),
        b"PK": read_npz,
        GZIP: lambda path: (read_idx(path), None),
        b"\0\0": lambda path: (read_idx(path), None),
    }
    return by_format(path, readers, "a .npy, .npz or IDX file, or a folder of images")


def by_format(path: Path, readers: Mapping[bytes, Callable[[Path], Read]], expected: str) -> Read:
    """What the reader of a file's format reads from it.

    Args:
        path: the file.
        readers: by the two bytes that files of their formats begin with.
        expected: the formats, in words.

    Raises:
        ValueError: a file of another format.
    """
    with path.open("rb") as file:
        begin = file.read(2)
    if begin not in readers:
        fault = "of an unknown format" if begin else "empty"
        raise ValueError(f"{path}: {fault}, expected {expected}")
    return readers[begin](path)


def _missing(name: str, path: Path) -> Exception:
    if path.suffix or len(path.parts) > 1:
        return FileNotFoundError(f"no file or folder at {path}")
    return ValueError(f"{unknown('data set', name, NAMES)}, or a path")


def _check_samples(name: str, train: np.ndarray, test: np.ndarray | None) -> None:
    for part, samples in (("training", train), ("test", test)):
        if samples is not None and (samples.ndim == 0 or samples.size == 0):
            raise ValueError(f"{name}: no {part} samples, their array has shape {samples.shape}")
    if test is not None and train.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"{name}: training samples of shape {train.shape[1:]} and test samples of shape "
            f"{test.shape[1:]}, expected one shape"
        )
