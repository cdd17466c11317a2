import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import ClippedBinaryCrossEntropy, binary_cross_entropy_from_probabilities
from jaxae.losses.conventions import KERAS_EPSILON, TORCH_LOG_CLAMP

ZERO, ONE = jnp.float32(0), jnp.float32(1)


def test_a_certain_and_wrong_probability_costs_the_librarys_clamp():
    assert binary_cross_entropy_from_probabilities(ZERO, ONE) == -TORCH_LOG_CLAMP
    keras = ClippedBinaryCrossEntropy(KERAS_EPSILON)(ZERO, ONE)
    assert keras == pytest.approx(-np.log(KERAS_EPSILON), rel=1e-6)
