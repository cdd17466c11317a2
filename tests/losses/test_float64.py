"""Formulas in float64 while x64 is off: one rounding, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import GaussianError, Loss, continuous_bernoulli_error
from jaxae.losses._float64 import in_float64

LOSSES = [Loss(continuous_bernoulli_error), Loss(GaussianError(0.1))]


def difference(x):
    return (x + 1000) * (x - 1000) + 1e6


def test_a_difference_of_large_terms_keeps_its_digits(rng):
    x = jnp.asarray(rng.normal(size=1000).astype(np.float32))
    wide = in_float64(difference)
    for got in (wide(x), jax.jit(wide)(x), jax.vmap(wide)(x)):
        np.testing.assert_allclose(got, x * x, rtol=1e-6, atol=1e-9)
    assert abs(difference(x) - x * x).max() > 0.01


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_x64_stays_off_in_every_transformation(loss, rng):
    A, Y = rng.random((2, 6, 4)).astype(np.float32)
    value, gradient = jax.value_and_grad(loss)(A, Y)
    assert value.dtype == gradient.dtype == jnp.float32
    many = (A[:, None], Y[:, None])

    @jax.jit
    def each(A, Y):
        def add(total, one):
            return total + jax.checkpoint(loss)(*one), None

        total = jax.lax.scan(add, jnp.float32(0), (A, Y))[0]
        return total / len(A), jax.vmap(loss)(A, Y).mean()

    np.testing.assert_allclose(each(*many), (value, value), rtol=1e-6)
    by_scan = jax.grad(lambda A: each(A, many[1])[0])(many[0])
    np.testing.assert_allclose(by_scan[:, 0], gradient, rtol=1e-5)
    hessian = jax.jit(jax.hessian(loss))(A, Y)
    assert hessian.dtype == jnp.float32
    assert jnp.isfinite(hessian).all()
    with jax.disable_jit():
        assert loss(A, Y) == pytest.approx(float(value), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_it_is_lowered_for_platforms_without_float64(loss):
    """For TPUs the same function is lowered without it."""
    x = jax.ShapeDtypeStruct((6, 4), jnp.float32)
    for platform, wide in (("cpu", True), ("cuda", True), ("tpu", False)):
        lowered = jax.jit(loss).trace(x, x).lower(lowering_platforms=(platform,))
        assert ("f64" in lowered.as_text()) == wide
