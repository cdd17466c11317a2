import gzip

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from jaxae.data._idx import read_idx

MIB = 2**20
arrays = st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=5, max_side=4))
)


@settings(deadline=None)
@given(array=arrays, compress=st.sampled_from([bytes, gzip.compress]))
def test_an_array_comes_back_bit_for_bit(array, compress, idx, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "array.idx"
    path.write_bytes(compress(idx(array)))
    read = read_idx(path)
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize(
    ("shape", "held", "message"),
    [
        ((2**20, 2**20), 0, "promises shape .* and 0 follow it; the file is truncated"),
        ((2**31, 2**31), 100, "promises shape .* and 100 follow it; the file is truncated"),
        ((20 * MIB + 1,), 20 * MIB, "promises .* 20,971,521 bytes, and 20,971,520 follow it"),
        ((4, 5), 19, "promises .* 20 bytes, and 19 follow it; the file is truncated"),
        ((4, 5), 21, "promises .* 20 bytes, and 21 follow it; the file is longer"),
        ((0, 2**32 - 1, 2**32 - 1, 2**32 - 1), 0, "empty"),
    ],
)
def test_a_header_that_lies_is_refused_before_anything_is_allocated(
    compress, shape, held, message, tmp_path, idx_header, little_memory
):
    path = tmp_path / "lying.idx"
    path.write_bytes(compress(idx_header("u1", shape) + bytes(held)))
    with little_memory(), pytest.raises(ValueError, match=f"lying.idx: .*{message}"):
        read_idx(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\0", "begins with 00"),
        (b"\0\0\x07\x01\0\0\0\1\0", "begins with 00 00 07 01"),
        (b"\0\0\x08\0", "begins with 00 00 08 00"),
        (b"\1\0\x08\x01\0\0\0\1\0", "begins with 01 00 08 01"),
        (b"\0\0\x08\x03\0\0\0\1\0", "truncated in its header"),
    ],
)
def test_what_is_no_idx_file_is_refused(compress, content, message, tmp_path):
    path = tmp_path / "other.idx"
    path.write_bytes(compress(content))
    with pytest.raises(ValueError, match=f"other.idx: .*{message}"):
        read_idx(path)


def test_a_gzip_file_cut_anywhere_is_refused(tmp_path, idx, rng):
    whole = gzip.compress(idx(rng.integers(0, 256, (5, 4, 4), np.uint8)))
    path = tmp_path / "cut.gz"
    for length in range(2, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut.gz: broken gzip file .*; fetch it again"):
            read_idx(path)


@pytest.mark.parametrize("place", [12, -1, -8])
def test_a_gzip_file_with_a_wrong_byte_is_refused(place, tmp_path, idx, rng):
    damaged = bytearray(gzip.compress(idx(rng.integers(0, 256, (5, 4, 4), np.uint8))))
    damaged[place] ^= 0xFF
    path = tmp_path / "damaged.gz"
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"damaged.gz: broken gzip file"):
        read_idx(path)
