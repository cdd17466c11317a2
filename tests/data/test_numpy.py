import contextlib
import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxae.data._numpy import read_npy, read_npz

MIB = 2**20
NEVER = "holds Python objects, which are never unpickled"
SAMPLES = np.arange(12, dtype=np.float32).reshape(4, 3)


class Malicious:
    """An object whose unpickling creates a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return __import__("os").mkdir, (self.folder,)


def npy_header(text):
    """The bytes that begin a .npy file: version 1.0 and the header's text, true or not."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin1")


def promise(shape, dtype="|u1"):
    """The header of an array of this shape."""
    return npy_header(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n")


def write_npz(path, **members):
    """A compressed archive of bytes by name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_comes_back(dtype, order, tmp_path):
    array = SAMPLES.astype(dtype, order)
    np.save(tmp_path / "a.npy", array)
    read = read_npy(tmp_path / "a.npy")
    assert isinstance(read, np.memmap)
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (["anything"], "anything", None),
        (["train", "test"], "train", "test"),
        (["x_train", "y_train", "x_test", "y_test"], "x_train", "x_test"),
        (["images_test", "images_train"], "images_train", "images_test"),
        (["train", "labels"], "train", None),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_says_by_its_names_what_is_what(names, train, test, save, tmp_path):
    arrays = {name: np.full((2, 3), i) for i, name in enumerate(names)}
    save(tmp_path / "a.npz", **arrays)
    read = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(read[0], arrays[train])
    assert read[1] is None if test is None else (read[1] == arrays[test]).all()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no arrays"),
        (["images", "labels"], "holds images, labels, expected one array, or train and test"),
        (["a", "b", "c", "d", "e", "f", "g"], "holds a, b, c, d, e, …, expected"),
    ],
)
def test_names_that_do_not_tell_are_refused(names, message, tmp_path):
    write_npz(tmp_path / "a.npz", **dict.fromkeys(names, npy(SAMPLES)))
    with pytest.raises(ValueError, match=f"a.npz: {message}"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("members", [["readme.txt"], ["word/document.xml", "_rels/.rels"]])
def test_an_archive_of_something_else_is_refused(members, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in members:
            archive.writestr(name, "text")
    with pytest.raises(ValueError, match=r"a.zip: holds no arrays"):
        read_npz(tmp_path / "a.zip")


@pytest.mark.parametrize("dtype", [object, [("value", "f4"), ("object", "O")]])
def test_objects_are_never_unpickled(dtype, tmp_path):
    created = tmp_path / "created"
    array = np.empty(1, dtype)
    array[0] = Malicious(created) if dtype is object else (1.0, Malicious(created))
    np.save(tmp_path / "evil.npy", array)
    np.savez(tmp_path / "evil.npz", train=SAMPLES, test=array)
    with pytest.raises(ValueError, match=f"evil.npy: {NEVER}"):
        read_npy(tmp_path / "evil.npy")
    with pytest.raises(ValueError, match=f"evil.npz: {NEVER}"):
        read_npz(tmp_path / "evil.npz")
    assert not created.exists()
    np.load(tmp_path / "evil.npy", allow_pickle=True)
    assert created.exists(), "the pickle is harmless, and this test shows nothing"


lies = pytest.mark.parametrize(
    ("shape", "dtype", "held", "message"),
    [
        ("(1099511627776,)", "<f8", 0, "8,796,093,022,208 bytes, and 0 follow it; .* truncated"),
        (f"({20 * MIB + 1},)", "|u1", 20 * MIB, "20,971,521 bytes, and 20,971,520 follow it"),
        ("(4, 5)", "|u1", 19, "20 bytes, and 19 follow it; the file is truncated"),
        ("(4, 5)", "|u1", 21, "20 bytes, and 21 follow it; the file is longer"),
        ("(-4, -5)", "|u1", 20, "20 bytes, and 20 follow it"),
        (f"(0, {2**70})", "|u1", 0, "empty"),
        ("(1099511627776,)", "|S0", 0, "empty"),
        ("(1099511627776,)", "|V0", 0, "empty"),
    ],
)


@lies
def test_an_npy_header_that_lies_is_refused_before_anything_is_allocated(
    shape, dtype, held, message, tmp_path, little_memory
):
    (tmp_path / "lying.npy").write_bytes(promise(shape, dtype) + bytes(held))
    with little_memory(), pytest.raises(ValueError, match=f"lying.npy: .*{message}"):
        read_npy(tmp_path / "lying.npy")


@lies
def test_an_npz_header_that_lies_is_refused_before_anything_is_allocated(
    shape, dtype, held, message, tmp_path, little_memory
):
    write_npz(tmp_path / "lying.npz", train=promise(shape, dtype) + bytes(held))
    with little_memory(), pytest.raises(ValueError, match=f"lying.npz: .*{message}"):
        read_npz(tmp_path / "lying.npz")


def test_an_archive_whose_directory_lies_too_is_refused(tmp_path, little_memory):
    path, held, promised = tmp_path / "lying.npz", 20 * MIB, 100 * MIB
    header = promise(f"({promised},)")
    write_npz(path, train=header + bytes(held))
    true, false = (struct.pack("<I", len(header) + size) for size in (held, promised))
    assert path.read_bytes().count(true) == 2
    path.write_bytes(path.read_bytes().replace(true, false))
    with little_memory(), pytest.raises(ValueError, match=r"lying.npz: .* 20,971,520 follow it"):
        read_npz(path)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{'descr'",
        "'''",
        "{[]: 1}",
        "{'descr': 5, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': '(1,)'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (01,)}",
        "(" * 5000,
        "-" * 9000 + "1",
        "{" + " " * 60_000 + "}",
    ],
    ids=range(10),
)
def test_a_header_that_is_none_is_refused(header, tmp_path):
    (tmp_path / "a.npy").write_bytes(npy_header(header))
    write_npz(tmp_path / "a.npz", train=npy_header(header))
    for read, path in ((read_npy, tmp_path / "a.npy"), (read_npz, tmp_path / "a.npz")):
        with pytest.raises(ValueError, match=f"{path.name}: not a NumPy array, its header cannot"):
            read(path)


@settings(deadline=None)
@given(data=st.data(), read=st.sampled_from([read_npy, read_npz]))
def test_a_damaged_file_is_read_or_refused(data, read, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "damaged"
    file = io.BytesIO()
    np.save(file, SAMPLES) if read is read_npy else np.savez_compressed(file, train=SAMPLES)
    content = bytearray(file.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(2, len(content)))])
    with warnings.catch_warnings(action="ignore"), contextlib.suppress(ValueError):
        read(path)
