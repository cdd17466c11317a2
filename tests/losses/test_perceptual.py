import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import Loss, PerceptualError

KERNEL = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


def layers(x):
    """Two layers of features: (4, 3) and (3,)."""
    first = jnp.tanh(jnp.matmul(x, KERNEL.astype(x.dtype)))
    return {"first": first, "second": first.sum(0)}


def lengthless(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_squared_errors_are_averaged_in_a_layer_and_added_over_layers(rng):
    P, Y = rng.normal(size=(2, 2, 4, 5)).astype(np.float32)
    f, g = np.tanh(P @ KERNEL), np.tanh(Y @ KERNEL)
    expected = np.mean((f - g) ** 2) + np.mean((f.sum(1) - g.sum(1)) ** 2)
    assert Loss(PerceptualError(layers))(P, Y) == pytest.approx(expected, rel=1e-5)


def test_normalised_features_are_compared_by_direction(rng):
    P, Y = rng.normal(size=(2, 2, 4, 5)).astype(np.float32)
    f, g = np.tanh(P @ KERNEL), np.tanh(Y @ KERNEL)
    pairs = [(f, g), (f.sum(1), g.sum(1))]
    expected = sum(np.mean(np.sum((lengthless(a) - lengthless(b)) ** 2, -1)) for a, b in pairs)
    loss = Loss(PerceptualError(layers, normalise_channels=True))
    assert loss(P, Y) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("normalise_channels", [False, True])
def test_features_of_zero_and_equal_ones_have_finite_gradients(normalise_channels, rng):
    error = jax.jit(jax.value_and_grad(PerceptualError(layers, normalise_channels)))
    y = rng.normal(size=(4, 5)).astype(np.float32)
    value, gradient = error(y, y)
    assert value == 0
    assert (gradient == 0).all()
    for p in (0 * y, 1e4 * y, 1e-40 * y):
        value, gradient = error(p.astype(np.float32), y)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_derivatives_agree_with_finite_differences_to_second_order(rng):
    with jax.enable_x64(True):
        p, y = rng.normal(size=(2, 4, 5))
        each = [PerceptualError(layers, normalise_channels=x) for x in (False, True)]
        both = jax.jit(lambda p, y: [error(p, y) for error in each])
        check_grads(both, (p, y), order=2, modes=["fwd"])


def test_features_in_few_bits_are_added_in_the_samples_dtype(rng):
    def short(x):
        return x.astype(jnp.bfloat16)

    p = jnp.asarray(rng.normal(size=(4, 5)).astype(np.float32))
    assert PerceptualError(short)(p, 0 * p).dtype == jnp.float32
    assert PerceptualError(lambda x: x.astype(jnp.float16))(0 * p + 300, 0 * p) == 300**2


def test_equal_functions_compile_once(rng):
    @functools.partial(jax.jit, static_argnums=0)
    @chex.assert_max_traces(n=1)
    def value(loss, A, Y):
        return loss(A, Y)

    P, Y = rng.normal(size=(2, 2, 4, 5)).astype(np.float32)
    for _ in range(2):
        value(Loss(PerceptualError(layers)), P, Y)
    assert PerceptualError(layers) != PerceptualError(lambda x: layers(x))


def test_features_that_cannot_be_hashed_are_refused():
    """A loss that has no hash would be compiled at each call."""

    class Features(dict):
        def __call__(self, x):
            return x

    with pytest.raises(TypeError, match=r"features is .*, which has no hash, expected"):
        PerceptualError(Features())


def test_features_that_are_none_are_refused():
    x = jnp.ones((2, 3))
    with pytest.raises(ValueError, match="hold no arrays"):
        PerceptualError(lambda x: ())(x, x)
    with pytest.raises(ValueError, match="a layer is a scalar"):
        PerceptualError(jnp.sum, normalise_channels=True)(x, x)
