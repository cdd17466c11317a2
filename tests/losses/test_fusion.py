"""Fences change no value, and keep the memory of a gradient small."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae import losses
from jaxae.losses import (
    BinaryCrossEntropy,
    ClippedBinaryCrossEntropy,
    ClippedKLDivergence,
    FocalError,
    Loss,
)
from jaxae.losses._elementary import log1p
from jaxae.losses._fusion import fenced, interleaved, unshared

SHAPE = (64, 500)
LOSSES = {
    **{loss.name: loss for loss in (losses.mse, losses.mae, losses.huber, losses.log_cosh)},
    **{loss.name: loss for loss in (losses.charbonnier, losses.pinball, losses.msle, losses.mape)},
    **{loss.name: loss for loss in (losses.bce, losses.bce_excess, losses.focal)},
    **{loss.name: loss for loss in (losses.bce_from_probabilities, losses.poisson_nll)},
    **{loss.name: loss for loss in (losses.gaussian_nll, losses.laplace_nll)},
    **{loss.name: loss for loss in (losses.student_t_nll, losses.continuous_bernoulli_nll)},
    "bce_weighted": Loss(BinaryCrossEntropy(pos_weight=2.5, label_smoothing=0.1)),
    "bce_clipped": Loss(ClippedBinaryCrossEntropy()),
    "focal_balanced": Loss(FocalError(alpha=0.25)),
    "kl_clipped": Loss(ClippedKLDivergence()),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fence_is_the_identity(rng, dtype):
    extremes = [0, -0.0, 1e-40, 1e30, -1e30, np.inf, -np.inf, np.nan, np.finfo(dtype).max]
    x = np.concatenate([extremes, rng.standard_normal(100)]).astype(dtype)
    with jax.enable_x64(dtype == np.float64):
        np.testing.assert_array_equal(jax.jit(fenced)(x).view(np.uint8), x.view(np.uint8))


def test_a_fence_has_the_derivative_of_the_identity():
    value, tangent = jax.jvp(fenced, (jnp.float32(0.1),), (jnp.float32(3.0),))
    assert (value, tangent) == (jnp.float32(0.1), 3)
    assert jax.vmap(jax.grad(fenced))(jnp.arange(3.0)).tolist() == [1, 1, 1]


def test_a_function_that_shares_nothing_with_its_derivatives_is_the_same_function(rng):
    def function(x, y):
        return jnp.sin(x) * jnp.exp(y)

    arrays = tuple(jnp.asarray(rng.uniform(0.1, 1, (2, 5)), np.float32))
    np.testing.assert_array_equal(unshared(function)(*arrays), function(*arrays))
    for derivative in (jax.jacfwd, jax.jacrev, jax.hessian):
        got, expected = (
            derivative(f, argnums=(0, 1))(*arrays) for f in (unshared(function), function)
        )
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), got, expected)
    check_grads(jax.jit(unshared(function)), arrays, order=2, modes=("fwd", "rev"), eps=1e-2)


def test_interleaved_arrays_lie_along_the_last_axis(rng):
    x, y = rng.standard_normal((2, 3, 4), np.float32)
    expected = np.stack([x, y], -1)
    np.testing.assert_array_equal(jax.jit(interleaved)([x, y]), expected)
    np.testing.assert_array_equal(jax.vmap(lambda x, y: interleaved([x, y]))(x, y), expected)


def test_the_logarithm_of_one_more_keeps_all_digits_wherever_it_is_fused(rng):
    x = np.concatenate([10.0 ** rng.uniform(-37, 38, 10_000), -rng.uniform(0, 1, 10_000), [0]])
    x = np.float32(x)
    exact = np.log1p(np.float64(x))
    for function in (log1p, jax.jit(log1p), jax.jit(lambda x: 3 * log1p(x / 2 + x / 2) / 3)):
        ulp = abs(np.float64(function(jnp.asarray(x))) - exact) / np.spacing(np.float32(abs(exact)))
        assert ulp.max() <= 4
    assert log1p(jnp.float32(np.inf)) == np.inf


# Value and slope of the focal loss share logarithms; newer XLA keeps smooth targets as well.
SMOOTH = 2 if jax.__version_info__ >= (0, 11) else 1
KEPT = {"focal": 3, "focal_balanced": 3, "bce_weighted": SMOOTH}


@pytest.mark.parametrize("name", LOSSES)
def test_beside_a_gradient_few_arrays_are_kept(name):
    arrays = (jax.ShapeDtypeStruct(SHAPE, np.float32),) * 2
    loss = LOSSES[name]
    compiled = jax.jit(jax.value_and_grad(lambda *arrays: loss(*arrays))).lower(*arrays).compile()
    kept = compiled.memory_analysis().temp_size_in_bytes / (4 * np.prod(SHAPE))
    assert kept <= KEPT.get(name, 1) + 0.1
