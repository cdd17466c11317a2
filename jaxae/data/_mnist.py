"""MNIST and Fashion-MNIST: four IDX files in a folder, or downloaded once."""

import dataclasses
from pathlib import Path

import numpy as np

from jaxae.data._idx import read_idx

TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a data set's image files are, and what they are when they have arrived.

    Args:
        url: the folder on the web.
        md5: the checksum of each gzipped file, as the data set's authors publish it.
    """

    url: str
    md5: dict[str, str]


SOURCES = {
    "mnist": Source(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {TRAIN: "f68b3c2dcbeaaa9fbdd348bbdeb94873", TEST: "9fb629c4189551a2d022fa330f9573f3"},
    ),
    "fashion-mnist": Source(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        {TRAIN: "8d4fb7e6c68d591d4c3dfef9ec88bf0d", TEST: "bef4ecab320f06d8554ea6380940ec79"},
    ),
}


def read_mnist(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images from a folder of IDX files, gzipped or not.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file that is not what it says.
    """
    return read_idx(_find(folder, TRAIN)), read_idx(_find(folder, TEST))


def holds_mnist(folder: Path) -> bool:
    """Whether a folder holds MNIST's training images under their usual name."""
    return any(folder.glob(f"{TRAIN}*"))


def download(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images, downloaded on first use and checked.

    The files go to the user's cache folder, which pooch names for the operating system.

    Raises:
        ModuleNotFoundError: pooch is missing.
        OSError: the download failed.
        ValueError: a file that has arrived does not have its checksum; it is not kept.
    """
    return read_idx(_fetch(name, TRAIN)), read_idx(_fetch(name, TEST))


def _find(folder: Path, file: str) -> Path:
    candidates = [folder / file, folder / f"{file}.gz"]
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(f"no {file} or {file}.gz in {folder}")


def _fetch(name: str, file: str) -> Path:
    try:
        import pooch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"downloading {name} needs pooch: pip install 'jaxae[cli]'; or pass the folder that "
            "holds its files as data_dir",
            name="pooch",
        ) from error
    source, zipped = SOURCES[name], f"{file}.gz"
    folder = Path(pooch.os_cache("jaxae")) / name
    try:
        fetched = pooch.retrieve(source.url + zipped, f"md5:{source.md5[file]}", zipped, folder)
    except OSError as error:
        raise OSError(
            f"cannot download {name} ({error}); pass the folder that holds its files as data_dir"
        ) from error
    return Path(fetched)
