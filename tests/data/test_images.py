import sys

import numpy as np
import pytest
from PIL import Image

from jaxae.data._images import read_images

GREY, DEEP = np.uint8([[0, 9, 255]] * 2), np.uint16([[0, 9, 65535]] * 2)
COLOUR = np.stack([GREY, GREY, GREY // 2], -1)
WIDE, FLOATS, LONGS = np.zeros((2, 4), np.uint8), np.float32(GREY / 255), np.int32(DEEP)


@pytest.fixture
def folder(tmp_path):
    """Writes images by their paths in a folder, and gives the folder."""

    def write(**images):
        for path, pixels in images.items():
            file = tmp_path / path.replace("__", "/").replace("_", ".")
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(file)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("suffix", "pixels", "full_scale"),
    [
        ("png", GREY, 255),
        ("bmp", GREY, 255),
        ("pgm", GREY, 255),
        ("tif", GREY, 255),
        ("TIFF", GREY, 255),
        ("png", DEEP, 65535),
        ("tif", DEEP, 65535),
        ("png", COLOUR, 255),
        ("PPM", COLOUR, 255),
        ("png", GREY > 0, 255),
    ],
)
def test_pixels_come_back_with_the_full_scale_of_their_format(suffix, pixels, full_scale, folder):
    train, test, scale = read_images(folder(**{f"a_{suffix}": pixels, f"b_{suffix}": pixels}))
    expected = pixels * np.uint8(255) if pixels.dtype == bool else pixels
    np.testing.assert_array_equal(train, [expected, expected])
    assert test is None
    assert scale == full_scale


@pytest.mark.parametrize(("mode", "expected"), [("RGBA", COLOUR), ("P", COLOUR), ("LA", GREY)])
def test_other_modes_become_grey_or_colour(mode, expected, tmp_path):
    image = Image.fromarray(GREY if mode == "LA" else COLOUR)
    image.convert(mode, palette=Image.Palette.ADAPTIVE).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_images(tmp_path)[0], [expected])


def test_images_come_in_the_order_of_their_paths_from_all_folders_below(folder):
    path = folder(b_png=GREY + 2, a__z_png=GREY, a__c_png=GREY + 1, c_png=GREY + 3)
    (path / "notes.txt").write_text("not an image")
    expected = [GREY + 1, GREY, GREY + 2, GREY + 3]
    np.testing.assert_array_equal(read_images(path)[0], expected)


def test_folders_named_train_and_test_are_the_split(folder):
    path = folder(train__a_png=GREY, train__b_png=GREY + 1, test__a_png=GREY + 2, c_png=WIDE)
    train, test, _ = read_images(path)
    np.testing.assert_array_equal(train, [GREY, GREY + 1])
    np.testing.assert_array_equal(test, [GREY + 2])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({"a_png": GREY, "b_png": WIDE}, "b.png: 4×2 .*, but .*a.png has 3×2 .*one size"),
        ({"a_png": GREY, "b_png": COLOUR}, "b.png: 3×2 .* in colour, but .*a.png has 3×2 uint8"),
        ({"a_png": GREY, "b_png": DEEP}, "b.png: 3×2 uint16 .*, but .*a.png has 3×2 uint8"),
        ({"train__a_png": GREY, "test__a_png": WIDE}, "test: 4×2 .*, but .*train has 3×2"),
        ({"train__a_png": GREY, "test__a_png": DEEP}, "test: 3×2 uint16 .*, but .*train has 3×2"),
    ],
)
def test_images_of_several_sizes_or_kinds_are_refused(images, message, folder):
    with pytest.raises(ValueError, match=message):
        read_images(folder(**images))


@pytest.mark.parametrize("pixels", [FLOATS, LONGS])
def test_pixels_without_a_full_scale_are_refused(pixels, folder):
    with pytest.raises(ValueError, match=r"a.tif: .*32-bit pixels, expected 8 or 16 bits"):
        read_images(folder(a_tif=pixels))


@pytest.mark.parametrize("files", [[], ["notes.txt"], ["train/", "test/"]])
def test_a_folder_without_images_is_refused(files, tmp_path):
    for name in files:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"holds no images \(.bmp, .gif"):
        read_images(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "ppm", "webp"])
@pytest.mark.parametrize("length", [0, 2, 20, 60])
def test_a_truncated_image_is_refused(suffix, length, folder, rng):
    path = folder(**{f"a_{suffix}": rng.integers(0, 256, (40, 40, 3), np.uint8)})
    file = path / f"a.{suffix}"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ValueError, match=f"a.{suffix}: cannot be decoded"):
        read_images(path)


def test_a_file_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 wide high 255 ")
    with pytest.raises(ValueError, match=r"a.ppm: cannot be decoded"):
        read_images(tmp_path)


def test_an_image_that_would_fill_the_memory_is_refused(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with pytest.raises(ValueError, match=r"a.png: cannot be decoded .*decompression bomb"):
        read_images(folder(a_png=GREY))


def test_without_pillow_the_message_says_what_to_install(folder, monkeypatch):
    path = folder(a_png=GREY)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxae\[cli\]'"):
        read_images(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_transparent_image_is_refused(tmp_path, mode):
    image = Image.fromarray(COLOUR).convert(mode)
    image.putalpha(Image.new("L", image.size, 128))
    image.save(tmp_path / "glass.png")
    with pytest.raises(ValueError, match=r"glass.png: cannot be decoded \(transparent pixels"):
        read_images(tmp_path)
