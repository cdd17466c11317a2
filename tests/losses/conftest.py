"""What tests of losses share: how far a float32 number is from the exact one, and mistakes."""

import jaxtyping
import numpy as np
import pytest


@pytest.fixture
def ulp():
    """The largest distance in float32's spacing at the expected size, floored at 2⁻¹²⁶."""

    def distance(got, expected, size=None):
        size = abs(expected if size is None else size).astype(np.float32)
        spacing = np.maximum(np.spacing(size), 2.0**-126)
        return np.max(abs(np.asarray(got, np.float64) - expected) / spacing)

    return distance


@pytest.fixture
def unchecked():
    """Without the type checker of the tests, which refuses mistakes before jaxae sees them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
