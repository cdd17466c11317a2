"""Stream: a path becomes a Stream."""

import os
from pathlib import Path

import numpy as np

from jaxae.data._array_record import MAGIC, recorded_samples
from jaxae.data._dataset import Dataset
from jaxae.data._images import decoded_images
from jaxae.data._load import by_format
from jaxae.data._numpy import mapped_npy
from jaxae.data._samples import Samples
from jaxae.data._scaling import Scaling
from jaxae.data._split import drawn_for_testing
from jaxae.data._stream import Stream

READERS = {b"\x93N": mapped_npy, MAGIC: recorded_samples}


def stream(path: str | os.PathLike, *, full_scale: int | None = None) -> Stream:
    """Samples that need not fit into memory, scaled to [0, 1] as they are read.

    Args:
        path: a .npy file, which is mapped into memory; an ArrayRecord file, as
            `write_array_record` writes it; or a folder of images.
        full_scale: what the values are divided by. By default it is found as `load` does it, from a
            few samples, and said in `stream(path).scaling`; only whole numbers without the full
            scale of 8 or 16 bits need all samples to be read once.

    Returns:
        A Stream of all of them.

    Raises:
        FileNotFoundError: no such file or folder.
        TypeError: values that are not real numbers.
        ValueError: a file that is broken or not what it says; data that are empty, not finite,
            negative, of several sizes, or Python objects, which are never unpickled. Of what is not
            looked at beforehand, when it is read.
        ModuleNotFoundError: a package that this source needs is missing.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.full((5, 4), 255, np.uint8))
        ...     stream(f"{folder}/x.npy").scaling.sentence
        'divided by 255, the full scale of 8-bit integers'
    """
    source = _samples(Path(path).expanduser())
    if full_scale is None:
        return Stream(source, source.scaling())
    if full_scale < 1:
        raise ValueError(f"full_scale is {full_scale}, expected at least 1")
    return Stream(source, Scaling(full_scale, f"divided by {full_scale}, as asked"))


def stream_dataset(path: str | os.PathLike) -> Dataset:
    """A Dataset whose training samples are streamed, and whose test samples are in memory.

    Args:
        path: as for `stream`.

    Returns:
        The Dataset: the test samples are a fifth of all, or 10,000 if that is fewer, or as many as
        64 MiB hold; the same in every run.

    Raises:
        ValueError: a single sample; and what `stream` raises.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/x.npy", np.full((5, 4), 255, np.uint8))
        ...     dataset = stream_dataset(f"{folder}/x.npy")
        ...     len(dataset.train), dataset.test.shape
        (4, (1, 4))
    """
    whole, name = stream(path), os.fspath(path)
    testing = drawn_for_testing(name, len(whole), whole.kept)
    train = Stream(whole.source.chosen(np.flatnonzero(~testing)), whole.scaling)
    test = whole.read(np.flatnonzero(testing))
    drawn = f"{len(test):,} drawn for testing"
    return Dataset(name, train, test, whole.scaling.sentence, drawn)


def _samples(path: Path) -> Samples:
    if path.is_dir():
        return decoded_images(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder at {path}")
    return by_format(path, READERS, "a .npy or ArrayRecord file, or a folder of images")
