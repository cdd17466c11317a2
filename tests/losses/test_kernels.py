import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import RBF, InverseMultiquadric, KernelSum

EVERY = [RBF(0.7), InverseMultiquadric(2.0), KernelSum((RBF(1.0), InverseMultiquadric(0.1)))]
every = pytest.mark.parametrize("kernel", EVERY, ids=repr)


def test_kernels_are_their_formulas(rng):
    d2 = jnp.asarray(rng.exponential(size=50).astype(np.float32))
    exact = np.float64(d2)
    np.testing.assert_allclose(RBF(0.7)(d2), np.exp(-exact / (2 * 0.7**2)), rtol=1e-6)
    np.testing.assert_allclose(InverseMultiquadric(2.0)(d2), 2 / (2 + exact), rtol=1e-6)
    both = KernelSum((RBF(0.7), InverseMultiquadric(2.0)))(d2)
    np.testing.assert_allclose(both, RBF(0.7)(d2) + InverseMultiquadric(2.0)(d2), rtol=1e-6)


@every
def test_kernels_of_any_distance_have_finite_gradients(kernel):
    d2 = jnp.float32([0, 1e-40, 1, 1e8, 1e30, jnp.inf])
    value, slope = jax.vmap(jax.value_and_grad(kernel))(d2)
    assert value[0] == kernel(jnp.float32(0)) > 0
    assert value[-1] == 0
    assert jnp.isfinite(slope).all()
    assert slope[0] < 0


@every
def test_kernels_keep_float64(kernel):
    with jax.enable_x64(True):
        assert kernel(jnp.ones(3, jnp.float64)).dtype == jnp.float64


def test_extreme_scales_do_not_overflow_on_the_way():
    for kernel in (RBF(1e-18), InverseMultiquadric(1e-18), RBF(1e18), InverseMultiquadric(1e18)):
        value, slope = jax.value_and_grad(kernel)(jnp.float32(1))
        assert value == pytest.approx(0 if "1e-18" in repr(kernel) else 1)
        assert jnp.isfinite(slope)


@pytest.mark.parametrize("bad", [0.0, -1.0, 1e-46, float("nan"), float("inf")])
def test_scales_that_are_0_or_infinite_in_float32_are_refused(bad):
    with pytest.raises(ValueError, match=f"bandwidth is {bad}, expected a number from 1e-18"):
        RBF(bad)
    with pytest.raises(ValueError, match=f"scale is {bad}, expected a number from 1e-30"):
        InverseMultiquadric(bad)


def test_a_sum_of_nothing_is_refused():
    with pytest.raises(ValueError, match="kernels is empty"):
        KernelSum(())


def test_kernels_are_hashable():
    scales = functools.partial(map, InverseMultiquadric)
    listed = KernelSum(tuple(scales([0.1, 1.0])))
    object.__setattr__(listed, "kernels", list(scales([0.1, 1.0])))
    listed.__post_init__()  # a list, which the tests' type checker refuses earlier
    assert listed == KernelSum(tuple(scales([0.1, 1.0])))
    assert hash(listed) == hash(KernelSum(tuple(scales([0.1, 1.0]))))
    assert len({RBF(1.0), RBF(1.0), RBF(2.0)}) == 2
