"""What tests share: real data, one source of random numbers, and strict JAX where it can be."""

import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"
# Rooms without an optimizer, whose own code promotes dtypes.
STRICT = ("losses", "models", "objectives")


@pytest.fixture(autouse=True, scope="session")
def interruptible():
    """Ctrl-C is heard also where tests run behind a shell's `&`, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def strict(request):
    """No silent broadcasting over ranks, no silent promotion of dtypes."""
    if request.path.relative_to(Path(__file__).parent).parts[0] not in STRICT:
        yield
        return
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(autouse=True, scope="module")
def release():
    """What a file's tests have compiled is released after them: thousands take gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture
def mnist_dir() -> Path:
    """The folder with MNIST's IDX files; set JAXAE_TEST_MNIST to use another."""
    if "JAXAE_TEST_MNIST" in os.environ:
        return Path(os.environ["JAXAE_TEST_MNIST"])
    if not MNIST.is_dir():
        pytest.skip(f"MNIST is not at {MNIST}; set JAXAE_TEST_MNIST to its folder")
    return MNIST


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that draws the same numbers in every run."""
    return np.random.default_rng(0)
