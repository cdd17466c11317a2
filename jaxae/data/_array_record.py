"""ArrayRecord files of samples: each record is one .npy file, all of one shape and dtype."""

import importlib
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from jaxae.data._numpy import read_header
from jaxae.data._samples import Samples

# How every file of this format begins.
MAGIC = b"\x83\xaf"
# Records that can be read one by one, each compressed by itself.
OPTIONS = "group_size:1"


def write_array_record(path: str | os.PathLike, samples: Iterable[Any]) -> None:
    """Write samples to an ArrayRecord file, from which they can be streamed in any order.

    Each record holds one sample in NumPy's format (.npy): a header of its shape and dtype, the same
    in all records, and its values.

    Args:
        path: the file, which appears when it is complete; one that is there is replaced.
        samples: arrays of one shape and dtype; they may come from a generator, one at a time.

    Raises:
        ModuleNotFoundError: array-record is missing.
        TypeError: samples that are Python objects.
        ValueError: no samples, or samples of several shapes or dtypes.

    Example:
        >>> import tempfile
        >>> from jaxae.data import stream
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_array_record(f"{folder}/eye.array_record", np.eye(3, dtype=np.float32))
        ...     stream(f"{folder}/eye.array_record").feature_shape
        (3,)
    """
    module = _array_record()
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        writer = module.ArrayRecordWriter(str(partial), OPTIONS)
        try:
            _write(writer, path, samples)
        finally:
            writer.close()
        partial.replace(path)
    except RuntimeError as error:
        raise OSError(f"{path}: cannot be written ({_reason(error)})") from error
    finally:
        partial.unlink(missing_ok=True)


def recorded_samples(path: Path) -> Samples:
    """The samples in an ArrayRecord file, read from it as they are asked for.

    Raises:
        ModuleNotFoundError: array-record is missing.
        ValueError: a file without records or broken, or records that are not .npy files; and while
            reading, records that are broken or of another shape or dtype than the first.
    """
    reader, count = _open(path)
    if count < 1:
        raise ValueError(f"{path}: holds no records, expected one sample in each")
    record = _records(path, reader, [0])[0]
    file = io.BytesIO(record)
    promise = read_header(path, file)
    header = record[: file.tell()]
    promise.check(len(record) - len(header))
    if not npy.read_array(io.BytesIO(record), allow_pickle=False).flags.c_contiguous:
        raise ValueError(f"{path}: samples in Fortran order; write them by write_array_record")

    def read(index: np.ndarray) -> np.ndarray:
        rows = np.empty((len(index), *promise.shape), promise.dtype)
        for place, one in enumerate(_records(path, reader, index.tolist())):
            if len(one) != len(record) or not one.startswith(header):
                raise ValueError(
                    f"{path}: record {index[place]} is not of the shape {promise.shape} and dtype "
                    f"{promise.dtype} of the first; write samples of one kind"
                )
            values = np.frombuffer(one, promise.dtype, offset=len(header))
            rows[place] = values.reshape(promise.shape)
        return rows

    return Samples(str(path), (count, *promise.shape), promise.dtype, read)


def _write(writer: Any, path: Path, samples: Iterable[Any]) -> None:
    first, header = None, b""
    for i, sample in enumerate(samples):
        sample = np.asarray(sample, order="C")
        if first is None:
            first, header = sample, _header(path, sample)
        if sample.shape != first.shape or sample.dtype != first.dtype:
            raise ValueError(
                f"{path}: sample {i} has shape {sample.shape} and dtype {sample.dtype}, the first "
                f"{first.shape} and {first.dtype}; expected one shape and dtype"
            )
        writer.write(header + sample.tobytes())
    if first is None:
        raise ValueError(f"{path}: no samples to write, expected one or more")


def _header(path: Path, sample: np.ndarray) -> bytes:
    if sample.dtype.hasobject:
        raise TypeError(f"{path}: samples are Python objects, expected arrays of numbers")
    file = io.BytesIO()
    npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(sample))
    return file.getvalue()


def _open(path: Path) -> tuple[Any, int]:
    module = _array_record()
    try:
        reader = module.ArrayRecordReader(
            str(path), options="readahead_buffer_size:0", file_reader_buffer_size=1 << 15
        )
        count = reader.num_records()
        if not reader.ok():
            reader.close()
        return reader, count
    except RuntimeError as error:
        raise ValueError(f"{path}: broken ArrayRecord file ({_reason(error)})") from error


def _records(path: Path, reader: Any, index: Sequence[int]) -> Sequence[bytes]:
    try:
        return reader.read(index)
    except RuntimeError as error:
        raise ValueError(f"{path}: broken ArrayRecord file ({_reason(error)})") from error


def _reason(error: RuntimeError) -> str:
    return str(error).splitlines()[0][:200]


def _array_record() -> Any:
    try:
        return importlib.import_module("array_record.python.array_record_module")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "ArrayRecord files need array-record, which is built for Linux only: "
            "pip install 'jaxae[stream]'",
            name="array_record",
        ) from error
