"""Folders of images, decoded by Pillow."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxae.data._samples import Samples

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
GREY_8, GREY_16, COLOUR = "grey", "16-bit grey", "colour"
MODES = {"1": GREY_8, "L": GREY_8, "LA": GREY_8, "I;16": GREY_16, "I;16B": GREY_16}
# Pillow's modes that have no full scale.
UNSCALED = ("I", "F")


def read_images(folder: Path) -> tuple[np.ndarray, np.ndarray | None, int]:
    """All images in a folder and the folders below it, in the order of their paths.

    A folder that holds the folders `train` and `test` is split by them.

    Args:
        folder: where the images are; other files in it are not looked at.

    Returns:
        Training images, shape (N, H, W) if they are grey or (N, H, W, 3) if they are coloured; test
        images or None; and the full scale of their values.

    Raises:
        ModuleNotFoundError: Pillow is missing.
        ValueError: no images, images of several sizes or kinds, or one that cannot be decoded, is
            transparent or has pixels of 32 bits.
    """
    parts = _parts(folder)
    stacks = [_all(part) for part in parts]
    train, test = stacks[0], stacks[1] if len(stacks) == 2 else None
    if test is not None:
        _check_alike(parts[1], test[0], parts[0], train[0])
    return train, test, int(np.iinfo(train.dtype).max)


def decoded_images(folder: Path) -> Samples:
    """All images in a folder and the folders below it, decoded as they are asked for.

    Args:
        folder: where the images are; other files in it are not looked at.

    Raises:
        ModuleNotFoundError: Pillow is missing.
        ValueError: no images; a folder that is split into `train` and `test`; and while reading,
            what `read_images` raises.
    """
    if len(_parts(folder)) == 2:
        raise ValueError(
            f"{folder}: split into train and test, expected samples of one kind; stream "
            f"{folder / 'train'} and {folder / 'test'}, e.g. as Streams(train, test)"
        )
    paths = _paths(folder)
    first = _read(paths[0])

    def read(index: np.ndarray) -> np.ndarray:
        return _stack([paths[i] for i in index], paths[0], first)

    full_scale = int(np.iinfo(first.dtype).max)
    return Samples(str(folder), (len(paths), *first.shape), first.dtype, read, full_scale)


def _parts(folder: Path) -> list[Path]:
    """The folders of training and test images, or the folder of all."""
    parts = [folder / "train", folder / "test"]
    return parts if all(part.is_dir() for part in parts) else [folder]


def _paths(folder: Path) -> list[Path]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise ValueError(f"{folder}: holds no images ({', '.join(sorted(SUFFIXES))})")
    return paths


def _all(folder: Path) -> np.ndarray:
    paths = _paths(folder)
    return _stack(paths, paths[0], _read(paths[0]))


def _stack(paths: Sequence[Path], first_path: Path, first: np.ndarray) -> np.ndarray:
    """Images, each of the size and kind of the first."""
    images = np.empty((len(paths), *first.shape), first.dtype)
    for i, path in enumerate(paths):
        image = _read(path)
        _check_alike(path, image, first_path, first)
        images[i] = image
    return images


def _read(path: Path) -> np.ndarray:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading images needs Pillow: pip install 'jaxae[cli]'", name="PIL"
        ) from error
    try:
        with Image.open(path) as image:
            _check_pixels(image)
            kind = MODES.get(image.mode, COLOUR)
            if kind == GREY_16:
                return np.asarray(image).astype(np.uint16)
            return np.asarray(image.convert("L" if kind == GREY_8 else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be decoded ({error})") from error


def _check_pixels(image: "Image.Image") -> None:
    if image.mode in UNSCALED:
        raise ValueError("32-bit pixels, expected 8 or 16 bits; save them as a .npy file")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ValueError("transparent pixels, expected opaque ones; lay it on a background first")


def _check_alike(path: Path, image: np.ndarray, first_path: Path, first: np.ndarray) -> None:
    if image.shape != first.shape or image.dtype != first.dtype:
        raise ValueError(
            f"{path}: {_describe(image)}, but {first_path} has {_describe(first)}; resize or "
            "convert the images to one size and kind"
        )


def _describe(image: np.ndarray) -> str:
    height, width, *channels = image.shape
    return f"{width}×{height} {image.dtype} pixels{' in colour' if channels else ''}"
