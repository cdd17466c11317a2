import jax.numpy as jnp
import pytest

from jaxae.models import Autoencoder


@pytest.mark.parametrize("method", ["encode", "decode"])
def test_a_model_without_a_part_says_so(method):
    class Empty(Autoencoder):
        pass

    with pytest.raises(NotImplementedError, match=f"Empty defines no {method}"):
        getattr(Empty(), method)(jnp.zeros(3))
