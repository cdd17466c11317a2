"""Losses: `mse` against the flat mean that it equals, `bce` against optax's."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks._result import Comparison, Result, Target
from benchmarks._timing import Effort, Turns, seconds_a_call, take_turns
from jaxae.losses import bce, mse

FEATURES = 784
SAMPLES = (60_000, 100)
TOLERANCE = 1e-4


def flat_mse(A: jax.Array, Y: jax.Array) -> jax.Array:
    """The mean squared error as one flat mean, written by hand."""
    return jnp.mean((A - Y) ** 2)


def optax_bce(Z: jax.Array, Y: jax.Array) -> jax.Array:
    """The mean binary cross-entropy from logits, by optax."""
    return optax.sigmoid_binary_cross_entropy(Z, Y).mean()


class Pair(NamedTuple):
    """A loss of jaxae's, and what it is compared with."""

    label: str
    ours: Callable
    rival: str
    theirs: Callable
    target: Target | None = None


PAIRS = (
    Pair("mse", mse, "flat mean", flat_mse, Target("<=", 1.15)),
    Pair("mse + gradient", jax.value_and_grad(mse), "flat mean", jax.value_and_grad(flat_mse)),
    Pair("bce", bce, "optax", optax_bce),
    Pair("bce + gradient", jax.value_and_grad(bce), "optax", jax.value_and_grad(optax_bce)),
)


def losses(effort: Effort) -> Result:
    """Time jitted losses on fresh random data, at the size of MNIST and of one batch."""
    all_turns, comparisons = [], []
    for samples in SAMPLES:
        for pair in PAIRS:
            size = f"{samples:,}×{FEATURES}"
            names = [f"{who} {pair.label}, {size}" for who in ("jaxae", pair.rival)]
            functions = dict(zip(names, (pair.ours, pair.theirs), strict=True))
            turns = _compare(functions, samples, effort)
            name = f"jaxae / {pair.rival}: {pair.label}, {size}"
            comparisons.append(Comparison(name, turns.ratios(*names), "×", pair.target))
            all_turns.append(turns)
    note = "float32, jitted; the two results were equal; with a gradient, value and gradient"
    return Result("losses", "s", all_turns, comparisons, [note])


def _compare(functions: dict[str, Callable], samples: int, effort: Effort) -> Turns:
    """Both functions in turns, on the same fresh data, after a check that they agree."""
    random = np.random.default_rng()
    predictions = jnp.asarray(random.standard_normal((samples, FEATURES), np.float32))
    targets = jnp.asarray(random.random((samples, FEATURES), np.float32))
    jitted = {name: jax.jit(function) for name, function in functions.items()}
    _check_equal(*(function(predictions, targets) for function in jitted.values()))
    measures = {
        name: seconds_a_call(function, predictions, targets) for name, function in jitted.items()
    }
    return take_turns(measures, effort)


def _check_equal(ours: object, theirs: object) -> None:
    """Raise unless two results agree, relative to the largest number in them."""
    for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        error = float(abs(x - y).max() / abs(y).max())
        if not error <= TOLERANCE:
            raise RuntimeError(f"two forms of a loss differ by {error:.2g} of the largest number")
