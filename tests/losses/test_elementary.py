import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses._elementary import log1p_of_share


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_series_of_a_logarithm_has_all_digits_ulp(dtype, rng):
    """Also of the smallest normal number, at which a share of it would be subnormal."""
    smallest = np.finfo(dtype).tiny
    small = np.exp(rng.uniform(np.log(smallest), 0, 20_000))
    x = np.concatenate([rng.random(20_000), small, [smallest, 0.5, 1.0, 0.0]]).astype(dtype)
    x = np.where(x < smallest, 0, x)
    expected = np.log1p(x.astype(np.longdouble))
    with jax.enable_x64(dtype == np.float64):
        value = np.asarray(log1p_of_share(jnp.asarray(x)))
    assert value.dtype == dtype
    assert (abs(value - expected) <= 3 * np.spacing(expected.astype(dtype))).all()
