import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxae.data._split import split


@settings(deadline=None)
@given(number=st.integers(2, 1000))
def test_it_is_a_partition_in_order_with_a_fifth_for_testing(number):
    train, test = split("rows", np.arange(number))
    assert len(test) == max(1, round(number / 5))
    assert sorted([*train, *test]) == list(range(number))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()


@settings(deadline=None)
@given(number=st.integers(2, 100))
def test_it_depends_on_the_number_of_samples_only(number):
    indices = split("rows", np.arange(number))
    rows = np.random.default_rng(number).random((number, 2, 3))
    for part, index in zip(split("rows", rows), indices, strict=True):
        np.testing.assert_array_equal(part, rows[index])


def test_it_is_the_same_forever():
    """What RandomState(0) drew in NumPy 2.4; the stream is frozen (NEP 19)."""
    _, test = split("rows", np.arange(1797))
    assert len(test) == 359
    assert test[:8].tolist() == [4, 5, 6, 9, 14, 17, 18, 19]


def test_one_sample_cannot_be_split():
    with pytest.raises(ValueError, match="mine: one sample, expected two or more"):
        split("mine", np.zeros((1, 8)))
