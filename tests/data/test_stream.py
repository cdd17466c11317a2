import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxae.data import Samples, Stream, _stream, load, stream, stream_dataset, write_array_record
from jaxae.data._scaling import scale

KINDS = ("npy", "images", "array_record")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (53, 4, 6), np.uint8)


def written(kind, folder, images):
    """The path of images that are written as a kind of source."""
    path = Path(folder, f"images.{kind}")
    if kind == "npy":
        np.save(path, images)
    elif kind == "array_record":
        write_array_record(path, images)
    else:
        path.mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(path / f"{i:03}.png")
    return path


@pytest.fixture(scope="module", params=KINDS)
def streamed(request, images, tmp_path_factory):
    return stream(written(request.param, tmp_path_factory.mktemp("streamed"), images))


def numbers(count, **values):
    """So many numbers 1, but for those at given places, as in `_7=2`."""
    rows = np.ones(count, np.int32)
    for name, value in values.items():
        rows[int(name[1:])] = value
    return Samples("numbers", rows.shape, rows.dtype, rows.__getitem__)


@pytest.mark.parametrize("batch_size", [1, 7, 52, 53, 100])
@pytest.mark.parametrize("seed", [None, 3])
def test_an_epoch_visits_every_sample_once_in_whole_batches(streamed, images, batch_size, seed):
    batches = list(streamed.batches(batch_size, seed=seed, epoch=1))
    whole, rest = divmod(len(images), batch_size)
    assert [len(x.rows) for x in batches] == [batch_size] * whole + [rest] * bool(rest)
    indices = np.concatenate([x.indices for x in batches])
    assert sorted(indices) == list(range(len(images)))
    assert (sorted(indices) == indices).all() == (seed is None)
    rows = np.concatenate([x.rows for x in batches])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, (images[indices] / np.float32(255)).astype(np.float32))


def test_the_order_is_that_of_the_seed_and_the_epoch(streamed):
    def order(seed, epoch):
        return [x.indices.tolist() for x in streamed.batches(10, seed=seed, epoch=epoch)]

    assert order(1, 1) == order(1, 1) == order([1], 1)
    assert len({str(order(*x)) for x in [(1, 1), (1, 2), (2, 1), ([1, 1], 1)]}) == 4


@pytest.mark.parametrize("seed", [None, 3])
def test_starting_in_the_middle_gives_the_rest(streamed, seed):
    whole = list(streamed.batches(10, seed=seed, epoch=2))
    for first in range(len(whole) + 1):
        rest = list(streamed.batches(10, seed=seed, epoch=2, first=first))
        assert len(rest) == len(whole) - first
        for a, b in zip(whole[first:], rest, strict=True):
            np.testing.assert_array_equal(a.rows, b.rows)
            np.testing.assert_array_equal(a.indices, b.indices)


def test_a_stream_knows_what_it_holds(streamed, images):
    assert (len(streamed), streamed.feature_shape) == (53, images.shape[1:])
    assert "53 samples of 4×6; divided by 255, the full scale of" in repr(streamed)


@pytest.mark.parametrize("kind", ["npy", "array_record"])
@pytest.mark.parametrize(
    "rows",
    [
        np.arange(50, dtype=np.uint8),
        np.arange(50, dtype=np.uint16) * 1000,
        np.arange(50, dtype=">i8") * 1_000_000,
        np.arange(50, dtype=np.float64),
        np.linspace(0, 1, 50).reshape(10, 5),
        np.linspace(0, 1, 50).astype(np.float16),
        np.arange(50).reshape(5, 2, 5) % 3 == 0,
    ],
    ids=lambda x: f"{x.dtype}",
)
def test_values_are_scaled_as_load_does_it(kind, rows, tmp_path):
    opened = stream(written(kind, tmp_path, rows))
    expected, sentence = scale("rows", rows)
    (batch,) = opened.batches(len(rows))
    np.testing.assert_array_equal(batch.rows, expected)
    assert opened.scaling.sentence == sentence


def test_a_file_of_the_digits_streams_what_load_loads(tmp_path):
    path = tmp_path / "digits.npy"
    np.save(path, (load("digits").train * 16).astype(np.uint8))
    (batch,) = stream(path).batches(2000)
    np.testing.assert_array_equal(batch.rows, load("digits").train)


def test_the_largest_value_is_found_wherever_it_is():
    source = numbers(1000, _502=40, _0=2)
    assert 40 not in source.some()
    assert source.scaling().sentence == "divided by 40, the largest value"


def test_what_the_first_look_did_not_see_is_named_when_it_is_read():
    opened = Stream(numbers(1000, _501=256), numbers(1000).scaling())
    list(opened.batches(100, first=6))
    with pytest.raises(ValueError, match=r"numbers: sample 501 has values from 256 to 256 .*left"):
        list(opened.batches(100))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5])
def test_values_that_are_no_numbers_or_negative_are_named_when_they_are_read(value):
    rows = np.full((1000, 3), 0.5)
    source = Samples("rows", rows.shape, rows.dtype, rows.__getitem__)
    opened = Stream(source, source.scaling())
    rows[501, 1] = value
    with pytest.raises(ValueError, match="rows: sample 501 has values"):
        list(opened.batches(100, seed=0))


def test_a_full_scale_that_is_given_is_used(tmp_path):
    opened = stream(written("npy", tmp_path, np.arange(5, dtype=np.uint8)), full_scale=8)
    assert opened.read(np.array([4])) == 0.5
    assert opened.scaling.sentence == "divided by 8, as asked"
    with pytest.raises(ValueError, match="full_scale is 0, expected at least 1"):
        stream(tmp_path / "images.npy", full_scale=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_tells_data_from_others(kind, images, tmp_path):
    def fingerprint(name, rows, **arguments):
        (tmp_path / name).mkdir()
        return stream(written(kind, tmp_path / name, rows), **arguments).fingerprint()

    other = images.copy()
    other[-1, -1, -1] ^= 1
    assert fingerprint("same", images) == fingerprint("again", images)
    different = [fingerprint("fewer", images[1:]), fingerprint("bit", other)]
    different += [fingerprint("scale", images, full_scale=256)]
    assert len({*different, fingerprint("one", images)}) == 4


def test_a_file_is_never_in_memory_as_a_whole(tmp_path):
    path = tmp_path / "large.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (1 << 15, 1 << 10)).flush()
    tracemalloc.start()
    try:
        rows = sum(len(x.rows) for x in stream(path).batches(256, seed=0))
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 4
    finally:
        tracemalloc.stop()
    assert rows == 1 << 15


def test_an_epoch_that_is_left_stops_reading():
    read = []
    rows = np.zeros(100_000)
    source = Samples("rows", rows.shape, rows.dtype, lambda i: (read.append(len(i)), rows[i])[1])
    opened = Stream(source, source.scaling())
    batches = opened.batches(10)
    next(batches)
    batches.close()
    assert sum(read) < 10_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty, expected a .npy or ArrayRecord file"),
        (b"hello", "of an unknown format, expected"),
        (b"\x93NUMPY\x01", "not a NumPy array"),
        (b"\x83\xaf" + bytes(100), "broken ArrayRecord file"),
        (b"\x83\xaf" + bytes(100_000), "broken ArrayRecord file"),
    ],
)
def test_a_broken_file_is_refused(content, message, tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: {message}"):
        stream(path)


@pytest.mark.parametrize("kind", ["npy", "array_record"])
def test_a_truncated_file_is_refused(kind, images, tmp_path):
    path = written(kind, tmp_path, np.repeat(images, 40, 0))
    path.write_bytes(path.read_bytes()[: -100_000 if kind == "npy" else -(1 << 16)])
    with pytest.raises(ValueError, match=r"truncated|broken ArrayRecord"):
        list(stream(path).batches(100))


def test_python_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects, which are never unpickled"):
        stream(tmp_path / "x.npy")


def test_arrays_that_are_no_samples_one_after_the_other_are_refused(tmp_path):
    np.save(tmp_path / "f.npy", np.asfortranarray(np.ones((3, 4))))
    with pytest.raises(ValueError, match=r"in Fortran order.*np.ascontiguousarray"):
        stream(tmp_path / "f.npy")
    np.save(tmp_path / "one.npy", np.ones(()))
    with pytest.raises(ValueError, match="a single number, expected an array of samples"):
        stream(tmp_path / "one.npy")
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    with pytest.raises(TypeError, match="expected real numbers"):
        stream(tmp_path / "words.npy")


def test_folders_that_hold_no_images_or_two_parts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no images"):
        stream(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    with pytest.raises(ValueError, match=r"split into train and test.*Streams\(train, test\)"):
        stream(tmp_path)
    with pytest.raises(FileNotFoundError, match="no file or folder at"):
        stream(tmp_path / "nowhere.npy")


def test_images_of_several_sizes_are_named(images, tmp_path):
    path = written("images", tmp_path, images)
    Image.fromarray(images[0].T).save(path / "017.png")
    with pytest.raises(ValueError, match=r"017.png: 4×6 uint8 pixels, but .*000.png has 6×4"):
        stream(path)


def test_an_image_that_breaks_later_is_named(images, tmp_path):
    path = written("images", tmp_path, images)
    opened = stream(path)
    (path / "017.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"017.png: cannot be decoded"):
        list(opened.batches(10, seed=0))


def test_no_samples_and_no_batches_are_refused():
    with pytest.raises(ValueError, match="numbers: no samples, expected one or more"):
        Stream(numbers(0), numbers(1).scaling())
    with pytest.raises(ValueError, match="batch_size is 0 and first 0, expected at least 1 and 0"):
        Stream(numbers(1), numbers(1).scaling()).batches(0)


@pytest.mark.parametrize(
    ("package", "missing"),
    [("grain", "grain"), ("array_record.python.array_record_module", "array_record")],
)
def test_a_missing_package_is_named_with_its_command(package, missing, monkeypatch, tmp_path):
    path = written("array_record", tmp_path, np.eye(3))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxae\[stream\]'") as caught:
        stream(path).batches(1)
    assert caught.value.name == missing


def test_a_dataset_that_is_streamed_splits_as_one_in_memory(tmp_path, rng):
    rows = rng.random((50, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", rows)
    streamed, resident = stream_dataset(tmp_path / "x.npy"), load(tmp_path / "x.npy")
    np.testing.assert_array_equal(streamed.test, resident.test)
    batches = [batch.rows for batch in streamed.train.batches(7)]
    np.testing.assert_array_equal(np.concatenate(batches), resident.train)
    assert repr(streamed).endswith(
        "40 train and 10 test samples of 3; left as they are, in [0, 1]; 10 drawn for testing)"
    )


def test_of_large_samples_as_many_are_kept_as_some_megabytes_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(_stream, "KEPT_BYTES", 4 * 6 * 3)
    np.save(tmp_path / "x.npy", np.linspace(0, 1, 300).reshape(50, 2, 3))
    dataset = stream_dataset(tmp_path / "x.npy")
    assert len(dataset.test) == 3
    monkeypatch.setattr(_stream, "KEPT_BYTES", 1)
    assert dataset.train.kept == 1


def test_of_many_samples_few_are_kept_to_test_on(tmp_path, monkeypatch):
    monkeypatch.setattr(_stream, "KEPT", 4)
    np.save(tmp_path / "x.npy", np.linspace(0, 1, 50))
    dataset = stream_dataset(tmp_path / "x.npy")
    assert (len(dataset.train), len(dataset.test)) == (46, 4)
    trained = np.concatenate([batch.rows for batch in dataset.train.batches(46)])
    assert not set(trained) & set(dataset.test)
