"""What `fit` is called with, checked before there are data: what is refused, and in which words."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxae.models import MLPAutoencoder
from jaxae.training import Checkpoints, EarlyStopping, Layout, fit
from jaxae.training._arguments import check_arguments, check_hyperparameters, checked_seeds

MODEL = MLPAutoencoder((6,), (4, 2))
KEYS = jax.random.split(jax.random.key(0), 3)
DEFAULTS = {name: x.default for name, x in inspect.signature(fit).parameters.items()}


def build(rngs):
    return MLPAutoencoder((6,), (4, 2), rngs=rngs)


def check(**given):
    check_arguments(DEFAULTS | {"model": MODEL, "data": None} | given)


ACCEPTED = {
    "defaults": {},
    "numbers of NumPy's": {"epochs": np.int64(3), "batch_size": np.int32(5), "clip": np.float32(1)},
    "a whole number for a norm": {"clip": 1},
    "keys as seeds": {"model": build, "seeds": KEYS},
    "a class that makes models": {"model": MLPAutoencoder, "seeds": 2},
    "objects": {
        "layout": Layout(),
        "checkpoints": Checkpoints("run"),
        "early_stopping": EarlyStopping(),
        "hyperparameters": {},
    },
    "functions": {"callbacks": (print,), "monitors": [print], "constraint": jnp.abs},
    "a dtype by name": {"compute_dtype": "bfloat16"},
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_fits_is_taken(case):
    check(**ACCEPTED[case])


REFUSED = {
    "a key of the old kind": (
        {"key": jax.random.PRNGKey(0)},
        TypeError,
        r"key is an array uint32\[2\], expected a random key, e.g. jax.random.key\(0\)",
    ),
    "a seed for a key": ({"key": 3}, TypeError, "key is 3, expected a random key"),
    "keys for a key": (
        {"key": KEYS},
        ValueError,
        r"key has shape \(3,\), expected one random key; as seeds= they train as many models",
    ),
    "a model with seeds": (
        {"seeds": 2},
        TypeError,
        "model is a MLPAutoencoder, expected with seeds= a function that makes one, e.g. lambda",
    ),
    "a function without seeds": (
        {"model": build},
        TypeError,
        "model is function build, expected an NNX module; a function .* needs seeds=",
    ),
    "no model": ({"model": "mlp"}, TypeError, "model is 'mlp', expected an NNX module$"),
    "half an epoch": ({"epochs": 1.5}, TypeError, "epochs is 1.5, expected a whole number"),
    "epochs that are not said": ({"epochs": None}, TypeError, "epochs is None, expected a whole"),
    "no epochs": ({"epochs": 0}, ValueError, "epochs is 0, expected at least 1"),
    "truth for a number": ({"epochs": True}, TypeError, "epochs is True, expected a whole number"),
    "half a batch": ({"batch_size": 2.5}, TypeError, "batch_size is 2.5, expected a whole number"),
    "no microbatch": ({"microbatch_size": 0}, ValueError, "microbatch_size is 0, expected at le"),
    "less than none": ({"microbatch_size": -3}, ValueError, "microbatch_size is -3, expected at"),
    "a decay over 1": (
        {"average_decay": 3.0},
        ValueError,
        "average_decay is 3.0, expected a number between 0 and 1, or None",
    ),
    "NaN for a decay": ({"average_decay": float("nan")}, ValueError, "average_decay is nan"),
    "no norm": ({"clip": 0.0}, ValueError, "clip is 0.0, expected a positive number, or None"),
    "text for a norm": ({"clip": "1"}, TypeError, "clip is '1', expected a positive number"),
    "an unknown policy": ({"on_nonfinite": "hope"}, ValueError, "'hope', expected 'stop' or 'skip"),
    "integers to compute in": ({"compute_dtype": jnp.int8}, TypeError, "int8.*a floating dtype"),
    "a path for checkpoints": (
        {"checkpoints": "run"},
        TypeError,
        r"checkpoints is 'run', expected Checkpoints\('folder'\)",
    ),
    "a number for early stopping": ({"early_stopping": 5}, TypeError, "is 5, expected EarlyStop"),
    "devices for a layout": ({"layout": jax.devices()}, TypeError, r"expected a Layout, e.g."),
    "rates without names": ({"hyperparameters": [0.1]}, TypeError, r"\[0.1\], expected values by"),
    "a callback without a list": (
        {"callbacks": build},
        TypeError,
        r"callbacks is function build, expected a list of functions: callbacks=\[f\]",
    ),
    "a monitor that is none": (
        {"monitors": [3]},
        TypeError,
        "monitors holds 3, expected functions",
    ),
    "a constraint that is none": (
        {"constraint": 1.0},
        TypeError,
        "constraint is 1.0, expected a f",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_name(case):
    given, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        check(**given)


@pytest.mark.parametrize("seeds", [2, np.int64(2), np.uint8(2)])
def test_seeds_of_any_whole_type_are_a_number_of_pythons(seeds):
    assert type(checked_seeds(seeds)) is int
    assert checked_seeds(seeds) == 2


def test_no_seeds_and_keys_are_taken_as_they_are():
    assert checked_seeds(None) is None
    assert checked_seeds(KEYS) is KEYS


BAD_SEEDS = {
    "none": (0, ValueError, r"seeds is 0, expected at least 1, or random keys of shape \(K,\)"),
    "a part": (1.5, TypeError, "seeds is 1.5, expected how many models"),
    "truth": (True, TypeError, "seeds is True, expected how many models"),
    "one key": (
        KEYS[0],
        ValueError,
        r"seeds is random keys of shape \(\), expected how many .*; one model takes it as key=",
    ),
    "no keys": (KEYS[:0], ValueError, r"seeds is random keys of shape \(0,\)"),
    "keys of the old kind": (
        jax.random.key_data(KEYS),
        TypeError,
        r"seeds is an array uint32\[3, 2\], .* e.g. jax.random.split\(jax.random.key\(0\), 3\)",
    ),
}


@pytest.mark.parametrize("case", BAD_SEEDS)
def test_seeds_that_are_none_are_refused_by_name(case):
    seeds, error, message = BAD_SEEDS[case]
    with pytest.raises(error, match=message):
        checked_seeds(seeds)


def held(optimizer):
    return optimizer.init({"kernel": jnp.zeros(3)})


INJECTED = held(optax.chain(optax.clip(1.0), optax.inject_hyperparams(optax.sgd)(0.1, 0.9)))
SCHEDULE = optax.linear_schedule(0.0, 1.0, 9)
SCHEDULED = held(optax.inject_hyperparams(optax.sgd)(SCHEDULE, 0.9))
BAD_HYPERPARAMETERS = {
    "an unknown one": (
        INJECTED,
        {"rate": [0.1, 0.2]},
        ValueError,
        "no hyperparameter 'rate', expected one of learning_rate, momentum",
    ),
    "an optimizer without any": (
        held(optax.adam(0.1)),
        {"learning_rate": [0.1, 0.2]},
        TypeError,
        "hyperparameters are learning_rate, but the optimizer holds none; make it by optax.inject",
    ),
    "a schedule": (
        SCHEDULED,
        {"learning_rate": [0.1, 0.2]},
        ValueError,
        "'learning_rate' is a schedule in the optimizer, expected a number",
    ),
    "too many": (
        INJECTED,
        {"momentum": [0.1, 0.2, 0.3]},
        ValueError,
        r"'momentum' has shape \(3,\), expected \(2,\): one for each model",
    ),
    "no numbers": (
        INJECTED,
        {"momentum": ["fast", "slow"]},
        TypeError,
        r"'momentum' is \['fast', 'slow'\], expected \(2,\): one for each model",
    ),
}


@pytest.mark.parametrize("case", BAD_HYPERPARAMETERS)
def test_hyperparameters_that_do_not_fit_are_refused_by_name(case):
    optimizer, values, error, message = BAD_HYPERPARAMETERS[case]
    with pytest.raises(error, match=message):
        check_hyperparameters(values, optimizer, 2)


def test_hyperparameters_beside_a_schedule_are_taken():
    check_hyperparameters({"momentum": [0.1, 0.2]}, SCHEDULED, 2)
    check_hyperparameters({}, held(optax.adam(0.1)), 2)
