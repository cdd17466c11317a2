"""Losses against the memory's limit: `mse` and a flat mean, `bce` and optax's, masks and none."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks._draw import draw
from benchmarks._question import NO_SLOWER, Question, ask
from benchmarks._result import Comparison, Result, Target
from benchmarks._timing import Effort
from jaxae.losses import bce, mse

SHAPES = ((100, 784), (4096, 784), (60_000, 784), (64, 150_528))
Batch = tuple[jax.Array, jax.Array, jax.Array]


def _flat_mse(A, Y, where):
    return jnp.mean((A - Y) ** 2)


def _flat_masked_mse(A, Y, where):
    return jnp.mean((A - Y) ** 2, where=where)


def _flat_masked_bce(Z, Y, where):
    errors = jnp.maximum(Z, 0) * (1 - Y) + jnp.maximum(-Z, 0) * Y + jnp.log1p(jnp.exp(-abs(Z)))
    return jnp.mean(errors, where=where)


def _optax_bce(Z, Y, where):
    return optax.sigmoid_binary_cross_entropy(Z, Y).mean()


def _unmasked(loss: Callable) -> Callable:
    return lambda A, Y, where: loss(A, Y)


def _masked(loss: Callable) -> Callable:
    return lambda A, Y, where: loss(A, Y, where=where)


_grad = jax.value_and_grad
_mse, _bce, _masked_mse, _masked_bce = _unmasked(mse), _unmasked(bce), _masked(mse), _masked(bce)
LARGE = 4096 * 784
QUESTIONS = (
    Question("mse / flat mean: value", _mse, _flat_mse, Target("<=", 1.15)),
    Question("mse / flat mean: value and gradient", _grad(_mse), _grad(_flat_mse), None),
    Question("optax / bce: value", _optax_bce, _bce, Target(">=", 5.0), smallest=LARGE),
    Question(
        "optax / bce: value and gradient",
        _grad(_optax_bce),
        _grad(_bce),
        Target(">=", 1.8),
        smallest=LARGE,
    ),
    Question("mse / jnp.mean(where=): masked value", _masked_mse, _flat_masked_mse, NO_SLOWER),
    Question("bce / jnp.mean(where=): masked value", _masked_bce, _flat_masked_bce, NO_SLOWER),
    Question(
        "mse: masked / unmasked gradient",
        _grad(_masked_mse),
        _grad(_mse),
        Target("<=", 1.7),
        equal=False,
    ),
    Question(
        "bce: masked / unmasked gradient",
        _grad(_masked_bce),
        _grad(_bce),
        Target("<=", 1.7),
        equal=False,
    ),
)


def losses(effort: Effort) -> Result:
    """Time jitted losses on fresh random data, from one batch to many times the cache."""
    all_turns, comparisons = [], []
    for shape in SHAPES:
        size = "×".join(f"{n:,}" for n in shape)
        for question in QUESTIONS:
            name = f"{question.label}, {size}"
            turns = ask(question, name, _draw(shape), effort)
            asked = shape[0] * shape[1] >= question.smallest
            target = question.target if asked else None
            comparisons.append(Comparison(name, turns.ratios(*turns.names), "×", target))
            all_turns.append(turns)
    note = "float32, jitted; a mask leaves 70 % of the numbers; the results compared were equal"
    return Result("losses", "s", all_turns, comparisons, [note])


def _draw(shape: tuple[int, int]) -> Batch:
    predictions, targets = (jnp.asarray(x) for x in draw("logits", *shape))
    where = np.random.default_rng().random(shape, np.float32) < 0.7
    return predictions, targets, jnp.asarray(where)
