"""Samples on the device: what tells them from others, and how they come there."""

import jax
import numpy as np
import pytest

from jaxae.data import stream
from jaxae.training import Layout, _streamed
from jaxae.training._samples import Resident, source_for_test

ONE = Layout(jax.devices()[:1])
RNG = np.random.default_rng(0)


def fingerprint(rows, layout=ONE):
    return Resident.of("data", rows, 10, layout).fingerprint()


def binary():
    return RNG.integers(0, 2, (600, 8)).astype(np.float32)


def test_samples_of_two_values_have_a_fingerprint_of_their_own():
    """Their bits end in many zeros, and a sum of them has few values."""
    assert len({fingerprint(binary()) for _ in range(300)}) == 300


@pytest.mark.parametrize("distance", [1, 256, 512])
def test_rows_that_are_exchanged_make_another_fingerprint(distance):
    rows = binary()
    rows[0] = 1 - rows[distance]
    exchanged = rows.copy()
    exchanged[[0, distance]] = rows[[distance, 0]]
    assert fingerprint(exchanged) != fingerprint(rows)


def test_zeros_that_fill_the_devices_up_change_no_fingerprint():
    rows = binary()
    filled = jax.numpy.pad(rows, [(0, 3), (0, 0)])
    assert Resident(filled, len(rows), 10, ONE).fingerprint() == fingerprint(rows)


def test_what_is_given_on_the_host_is_on_no_device_before_it_is_placed():
    """One device may not hold what all of them together do."""
    there = []

    class Watched(Layout):
        def place_data(self, tree):
            there.extend(x for x in jax.live_arrays() if x.shape == tree.shape)
            return super().place_data(tree)

    rows = RNG.random((61, 7))
    resident = Resident.of("data", rows, 10, Watched(ONE.devices))
    assert there == []
    np.testing.assert_array_equal(resident.rows, rows.astype(np.float32))


@pytest.mark.parametrize("placed", [np.asarray, jax.numpy.asarray])
def test_samples_are_converted_where_they_are(placed):
    half = np.linspace(0, 1, 24).reshape(12, 2).astype(np.float16)
    resident = Resident.of("data", placed(half), 5, ONE)
    assert resident.rows.dtype == np.float32
    np.testing.assert_array_equal(resident.rows, half.astype(np.float32))
    half[3, 1] = np.nan
    with pytest.raises(ValueError, match="data holds NaN or infinity"):
        Resident.of("data", placed(half), 5, ONE)


def test_what_the_caller_writes_afterwards_reaches_no_device():
    held = np.zeros(4096 * 16 + 64, np.uint8)
    rows = held[-held.ctypes.data % 64 :][: 4096 * 16].view(np.float32).reshape(-1, 4)
    resident = Resident.of("data", rows, 10, ONE)  # aligned as devices may share it
    rows += 1
    assert not np.asarray(resident.rows).any()


def test_numbers_that_32_bits_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="data holds NaN or infinity"):
        fingerprint(np.full((12, 2), 1e300))


def evaluated_at_once(rows, microbatch_size=None):
    """The shape of the order in which test samples are evaluated."""
    return next(source_for_test(rows, microbatch_size, ONE).in_order()).order.shape


@pytest.mark.parametrize(
    ("microbatch_size", "shape"), [(None, (3, 1000)), (30, (70, 30)), (5000, (3, 1000))]
)
def test_no_more_test_samples_than_a_microbatch_are_evaluated_at_once(microbatch_size, shape):
    assert evaluated_at_once(np.zeros((2100, 2)), microbatch_size) == shape


def test_no_more_test_samples_than_some_megabytes_are_evaluated_at_once(tmp_path, monkeypatch):
    rows = np.zeros((10, 2, 3), np.float32)
    np.save(tmp_path / "x.npy", rows)
    for most, shape in ((4 * 6 * 4, (3, 4)), (1, (10, 1)), (1 << 24, (1, 10))):
        monkeypatch.setattr(_streamed, "CHUNK_BYTES", most)
        assert evaluated_at_once(rows) == shape
        assert source_for_test(stream(tmp_path / "x.npy"), None, ONE).batch_size == shape[1]


def test_test_data_that_are_one_number_are_named():
    with pytest.raises(ValueError, match=r"test data has shape \(\), expected one sample or more"):
        evaluated_at_once(np.float32(0.5))
