import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    ClippedBinaryCrossEntropy,
    ClippedCategoricalCrossEntropy,
    ClippedCategoricalFocalError,
    ClippedKLDivergence,
    binary_cross_entropy_from_probabilities,
)
from jaxae.losses.conventions import KERAS_EPSILON, TORCH_LOG_CLAMP

ZERO, ONE = jnp.float32(0), jnp.float32(1)


def test_a_certain_and_wrong_probability_costs_the_librarys_clamp():
    assert binary_cross_entropy_from_probabilities(ZERO, ONE) == -TORCH_LOG_CLAMP
    keras = pytest.approx(-np.log(KERAS_EPSILON), rel=1e-6)
    assert ClippedBinaryCrossEntropy(KERAS_EPSILON)(ZERO, ONE) == keras
    assert ClippedKLDivergence(KERAS_EPSILON)(ZERO, ONE) == keras
    p, y = jnp.eye(2)
    assert ClippedCategoricalCrossEntropy(KERAS_EPSILON)(p, y) == keras
    assert ClippedCategoricalFocalError(epsilon=KERAS_EPSILON)(p, y) == keras
