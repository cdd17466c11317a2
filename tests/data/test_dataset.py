import numpy as np
import pytest

from jaxae.data import Dataset


@pytest.mark.parametrize(
    ("feature_shape", "shown"), [((28, 28), "28×28"), ((3,), "3"), ((), "scalar")]
)
def test_a_dataset_shows_what_is_known_of_it(feature_shape, shown):
    train, test = (np.zeros((n, *feature_shape), np.float32) for n in (1200, 300))
    dataset = Dataset("mine", train, test, "divided by 7", "split by hand")
    assert dataset.feature_shape == feature_shape
    assert repr(dataset) == (
        f"Dataset(mine: 1,200 train and 300 test samples of {shown}; divided by 7; split by hand)"
    )
