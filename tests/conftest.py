"""Tests run strictly: no silent broadcasting over ranks, no silent promotion of dtypes."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


@pytest.fixture
def mnist_dir() -> Path:
    """The folder with MNIST's IDX files; set JAXAE_TEST_MNIST to use another."""
    folder = Path(os.environ.get("JAXAE_TEST_MNIST", MNIST))
    if not folder.is_dir():
        pytest.skip(f"MNIST is not at {folder}; set JAXAE_TEST_MNIST to its folder")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that draws the same numbers in every run."""
    return np.random.default_rng(0)
