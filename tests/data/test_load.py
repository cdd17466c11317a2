import gzip
import pathlib
from importlib import resources

import numpy as np
import pytest
from PIL import Image

import jaxae.data
from jaxae.data import NAMES, load

DRAWN, OWN = "a fifth drawn for testing", "tested on its own test samples"
LEVELS = np.arange(80, dtype=np.uint8).reshape(10, 2, 4) + 100
SCALED = np.float32(LEVELS) / np.float32(255)


def joined(dataset):
    """Training and test samples together, in the order of their sums."""
    samples = np.concatenate([dataset.train, dataset.test])
    return samples[np.argsort(samples.reshape(len(samples), -1).sum(1))]


def test_the_digits_are_1797_images_of_17_levels():
    digits = load("digits")
    assert digits.train.shape == (1438, 8, 8)
    assert digits.test.shape == (359, 8, 8)
    assert digits.feature_shape == (8, 8)
    assert digits.train.dtype == digits.test.dtype == np.float32
    assert np.unique(joined(digits)).tolist() == [k / 16 for k in range(17)]
    assert digits.scaling == "divided by 16, the largest value"
    assert digits.split == DRAWN


def test_the_digits_are_the_same_in_every_load():
    first, second = load("digits"), load("digits")
    np.testing.assert_array_equal(first.train, second.train)
    np.testing.assert_array_equal(first.test, second.test)


def test_the_digits_are_small_and_have_a_source_and_a_licence():
    files = resources.files("jaxae.data")
    assert len((files / "digits.npz").read_bytes()) < 60_000
    text = (files / "digits.md").read_text()
    assert "https://doi.org/10.24432/C50P49" in text
    assert "CC BY 4.0" in text


def write_images(folder):
    folder.mkdir()
    for i, image in enumerate(LEVELS):
        Image.fromarray(image).save(folder / f"{i}.png")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.npy", lambda path, idx: np.save(path, LEVELS)),
        ("a.npz", lambda path, idx: np.savez(path, LEVELS)),
        ("a-idx3-ubyte", lambda path, idx: path.write_bytes(idx(LEVELS))),
        ("a-idx3-ubyte.gz", lambda path, idx: path.write_bytes(gzip.compress(idx(LEVELS)))),
        ("images", lambda path, idx: write_images(path)),
    ],
)
def test_the_same_values_are_read_from_every_format(name, write, tmp_path, idx):
    write(tmp_path / name, idx)
    dataset = load(tmp_path / name)
    assert (len(dataset.train), len(dataset.test)) == (8, 2)
    assert dataset.split == DRAWN
    assert dataset.scaling.startswith("divided by 255, the full scale of ")
    np.testing.assert_array_equal(joined(dataset), SCALED)


@pytest.mark.parametrize("train", ["train", "x_train"])
def test_test_samples_of_the_file_are_kept(train, tmp_path):
    test = train.replace("train", "test")
    np.savez(tmp_path / "a.npz", **{train: LEVELS[:3], test: LEVELS[3:]})
    dataset = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(dataset.train, SCALED[:3])
    np.testing.assert_array_equal(dataset.test, SCALED[3:])
    assert dataset.split == OWN


def test_training_and_test_samples_have_one_scale(tmp_path):
    np.savez(tmp_path / "a.npz", train=[[0], [5]], test=[[0], [10]])
    dataset = load(tmp_path / "a.npz")
    assert dataset.train.ravel().tolist() == [0, 0.5]
    assert dataset.test.ravel().tolist() == [0, 1]


def test_a_home_folder_and_a_relative_path_are_found(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", LEVELS)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in ("~/a.npy", "a.npy", "./a.npy", pathlib.Path("a.npy")):
        np.testing.assert_array_equal(joined(load(path)), SCALED)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("digit", "digits"),
        ("mnits", "mnist"),
        ("MNIST", "mnist"),
        ("fashionmnist", "fashion-mnist"),
        ("zzz", None),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, nearest):
    hint = f", did you mean {nearest!r}[?]" if nearest else "[.]"
    known = "Known: digits, mnist, fashion-mnist, or a path"
    with pytest.raises(ValueError, match=f"unknown data set {name!r}{hint} {known}"):
        load(name)


@pytest.mark.parametrize("path", ["nowhere.npy", "no/where", "/nowhere"])
def test_a_missing_file_is_named(path):
    with pytest.raises(FileNotFoundError, match=f"no file or folder at {path}"):
        load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "of an unknown format"),
        (b"\x80\x04N.", "of an unknown format"),
    ],
)
def test_a_file_of_no_known_format_is_refused(content, message, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.csv: {message}.* expected a .npy, .npz or IDX file"):
        load(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ([np.zeros((0, 5))], ValueError, "empty, an array of shape"),
        ([np.zeros((5, 0))], ValueError, "empty, an array of shape"),
        ([np.float32(5)], ValueError, "no training samples, their array has shape"),
        ([np.zeros((1, 5))], ValueError, "one sample, expected two or more"),
        ([np.full((4, 5), np.nan)], ValueError, "NaN or infinity"),
        ([np.full((4, 5), "a")], TypeError, "expected real numbers"),
        ([np.zeros(4, "f4,f4")], TypeError, "expected real numbers"),
        ([np.zeros((4, 5)), np.zeros((4, 6))], ValueError, r"of shape \(5,\) and .* \(6,\)"),
        ([np.zeros((4, 5)), np.zeros(())], ValueError, "no test samples"),
        ([np.zeros((4, 5)), np.full((4, 5), np.inf)], ValueError, "NaN or infinity"),
    ],
)
def test_samples_that_cannot_be_trained_on_are_refused(arrays, error, message, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **dict(zip(("train", "test"), arrays, strict=False)))
    with pytest.raises(error, match=f"a.npz: .*{message}"):
        load(path)


def test_the_names_are_those_that_load_knows():
    assert NAMES == ("digits", "mnist", "fashion-mnist")
    assert jaxae.data.load is load
