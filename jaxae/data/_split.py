"""A fixed split, for data that come in one piece."""

import numpy as np
from jaxtyping import Bool

TEST_SHARE = 0.2


def split(name: str, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training and test samples: a fifth is for testing, the same in every run.

    Which samples are drawn depends on their number only. They are drawn by NumPy's RandomState(0),
    whose stream is frozen (NEP 19), and keep their order.

    Args:
        name: what the samples are called in errors.
        samples: shape (N, ...), two or more.

    Returns:
        Training samples and test samples, which share no row.

    Raises:
        ValueError: fewer than two samples.

    Example:
        >>> train, test = split("rows", np.arange(10))
        >>> train.tolist(), test.tolist()
        ([0, 1, 3, 4, 5, 6, 7, 9], [2, 8])
    """
    testing = drawn_for_testing(name, len(samples))
    return samples[~testing], samples[testing]


def drawn_for_testing(name: str, samples: int, most: int | None = None) -> Bool[np.ndarray, " N"]:
    """Which of so many samples are for testing: a fifth, or `most` of them if that is fewer.

    Raises:
        ValueError: fewer than two samples.

    Example:
        >>> drawn_for_testing("rows", 10).nonzero()[0].tolist()
        [2, 8]
    """
    if samples < 2:
        raise ValueError(f"{name}: one sample, expected two or more, to train and to test on")
    share = max(1, round(TEST_SHARE * samples))
    testing = np.zeros(samples, bool)
    testing[np.random.RandomState(0).permutation(samples)[: min(share, most or share)]] = True
    return testing
