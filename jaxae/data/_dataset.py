"""A Dataset: samples to train and to test on, and what is known about them."""

import dataclasses

import numpy as np
from jaxtyping import Float

from jaxae.data._stream import Stream


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Samples to train on and to test on, in [0, 1].

    Args:
        name: the name or path that it was loaded by.
        train: training samples, shape (N, *feature_shape), float32 in [0, 1]; or a Stream of them.
        test: test samples, shape (M, *feature_shape), float32 in [0, 1].
        scaling: one sentence on what was done to the values.
        split: one sentence on where the test samples come from.
    """

    name: str
    train: Float[np.ndarray, "N ..."] | Stream
    test: Float[np.ndarray, "M ..."]
    scaling: str
    split: str

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.test.shape[1:]

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.feature_shape)) or "scalar"
        return (
            f"Dataset({self.name}: {len(self.train):,} train and {len(self.test):,} test samples "
            f"of {shape}; {self.scaling}; {self.split})"
        )
