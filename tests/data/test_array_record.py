import io

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from jaxae.data import stream, write_array_record


@pytest.fixture
def path(tmp_path):
    return tmp_path / "samples.array_record"


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def write(path, records):
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["f4", ">f8", "u1", "?"])
def test_a_record_is_a_npy_file(path, rng, shape, dtype):
    samples = (rng.random((4, *shape)) > 0.5).astype(dtype)
    write_array_record(path, samples)
    reader = ArrayRecordReader(str(path))
    for record, sample in zip(reader.read_all(), samples, strict=True):
        np.testing.assert_array_equal(np.load(io.BytesIO(record)), sample)
    reader.close()


def test_records_of_another_writer_are_read(path, rng):
    samples = rng.random((20, 3, 2))
    write(path, map(npy, samples))
    (batch,) = stream(path).batches(20)
    np.testing.assert_allclose(batch.rows, samples, rtol=1e-6)


def test_samples_may_come_one_at_a_time(path):
    write_array_record(path, (np.full(3, i, np.uint8) for i in range(256)))
    assert stream(path).read(np.array([255, 51])).tolist() == [[1.0] * 3, [np.float32(0.2)] * 3]


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ([], ValueError, "no samples to write"),
        ([np.ones(2), np.ones(3)], ValueError, r"sample 1 has shape \(3,\).*the first \(2,\)"),
        ([np.ones(2), np.ones(2, int)], ValueError, "dtype int64, the first .* float64"),
        ([np.array([{}])], TypeError, "Python objects, expected arrays of numbers"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(path, samples, error, message):
    with pytest.raises(error, match=message):
        write_array_record(path, samples)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(path):
    with pytest.raises(OSError, match="nowhere/x: cannot be written"):
        write_array_record(path.parent / "nowhere" / "x", np.ones((2, 2)))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "holds no records"),
        ([b"raw bytes"], "not a NumPy array"),
        ([npy(np.ones(3))[:-1]], "truncated"),
        ([npy(np.ones(3)) + b"more"], "longer than that"),
        ([npy(np.asfortranarray(np.ones((2, 3))))], "Fortran order"),
        ([npy(np.array(["a"]))], "expected real numbers"),
        ([npy(np.ones(3)), npy(np.ones(4))], r"record 1 is not of the shape \(3,\)"),
        ([npy(np.ones(4, "f4")), npy(np.ones(4, "i4"))], "record 1 is not .* dtype float32"),
    ],
)
def test_records_that_are_no_samples_are_refused(path, records, message):
    write(path, records)
    with pytest.raises((TypeError, ValueError), match=f"^{path}: .*{message}"):
        stream(path)


def test_a_record_that_is_damaged_is_refused_when_it_is_read(path, rng):
    write_array_record(path, rng.random((1000, 100)))
    opened = stream(path)
    damaged = bytearray(path.read_bytes())
    damaged[200_000:200_100] = bytes(100)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=f"^{path}: broken ArrayRecord file"):
        list(opened.batches(100))
