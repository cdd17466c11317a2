"""The seed network as a bare JAX scan over an epoch: no library, nothing but the arithmetic."""

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

SIZES = (784, 128, 64, 28, 64, 128, 784)
LINEAR_LAYERS = (2, 5)
ADAM = optax.adam(1e-3)


def initial_parameters(key: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
    """Glorot-uniform kernels and zero biases."""
    glorot = jax.nn.initializers.glorot_uniform()
    shapes = list(itertools.pairwise(SIZES))
    keys = jax.random.split(key, len(shapes))
    return [(glorot(k, shape), jnp.zeros(shape[1])) for k, shape in zip(keys, shapes, strict=True)]


def batch_loss(parameters: Any, x: jax.Array) -> jax.Array:
    """The batch's mean binary cross-entropy, from logits."""
    z = x
    for layer, (kernel, bias) in enumerate(parameters):
        z = z @ kernel + bias
        z = z if layer in LINEAR_LAYERS else jax.nn.relu(z)
    return jnp.mean(jnp.maximum(z, 0) - z * x + jnp.log1p(jnp.exp(-jnp.abs(z))))


@functools.partial(jax.jit, donate_argnums=0)
def scan_epoch(state: Any, X: jax.Array, order: jax.Array) -> tuple[Any, jax.Array]:
    """All batches of an epoch in one compiled scan; the new state and the mean training loss."""

    def step(state: Any, index: jax.Array) -> tuple[Any, jax.Array]:
        parameters, moments = state
        loss, gradient = jax.value_and_grad(batch_loss)(parameters, X[index])
        updates, moments = ADAM.update(gradient, moments, parameters)
        return (optax.apply_updates(parameters, updates), moments), loss

    state, losses = jax.lax.scan(step, state, order)
    return state, losses.mean()


def bare_scan(X: np.ndarray, batch_size: int) -> Callable[[int], tuple[list[float], list[float]]]:
    """Training for some epochs: when each ended, and its training loss."""
    resident, random = jnp.asarray(X), np.random.default_rng(0)

    def train(epochs: int) -> tuple[list[float], list[float]]:
        parameters = initial_parameters(jax.random.key(0))
        state, ends, losses = (parameters, ADAM.init(parameters)), [], []
        for _ in range(epochs):
            order = random.permutation(len(X)).astype(np.int32).reshape(-1, batch_size)
            state, loss = scan_epoch(state, resident, order)
            losses.append(float(loss))
            ends.append(time.perf_counter())
        return ends, losses

    return train
