import hypothesis.extra.numpy as npst
import jax
import numpy as np
from hypothesis import given, settings

from jaxae.losses import mse
from jaxae.losses._coverage import number_of

COMPILED = jax.jit(number_of, static_argnums=1)


@settings(deadline=None, max_examples=30)
@given(npst.arrays(bool, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)))
def test_flags_are_counted_exactly(flags):
    assert int(COMPILED(flags, np.float32)) == np.count_nonzero(flags)


def test_many_flags_are_counted_exactly(rng):
    """More than a byte, or float32, counts one by one."""
    flags = rng.random(20_000_001) < 0.9
    flags[:17_000_000] = True
    assert COMPILED(flags, np.float32) == np.float32(np.count_nonzero(flags))
    with jax.enable_x64(True):
        assert int(COMPILED(flags, np.float64)) == np.count_nonzero(flags)


def test_the_mean_of_what_a_mask_leaves(rng):
    """Of sizes that sixteen divides and does not."""
    for shape in ((3, 5), (2, 16), (1, 4, 31)):
        A, where = rng.normal(size=shape).astype(np.float32), rng.random(shape) < 0.5
        expected = np.mean(A.astype(np.float64) ** 2, where=where)
        np.testing.assert_allclose(mse(A, 0 * A, where=where), expected, rtol=1e-6)
