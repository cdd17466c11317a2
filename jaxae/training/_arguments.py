"""What `fit` is called with: checked before anything is computed, with errors that name it."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jaxae.training._checkpoint_plan import Checkpoints
from jaxae.training._early_stopping import EarlyStopping
from jaxae.training._layout import Layout

A_FUNCTION = "a function that makes one, e.g. lambda rngs: MLPAutoencoder((8, 8), rngs=rngs)"
# The smallest of each.
WHOLE = {"epochs": 1, "batch_size": 1, "microbatch_size": 1}
# Above which, and below which.
BETWEEN = {"clip": (0.0, math.inf), "average_decay": (0.0, 1.0)}
KINDS = {
    "layout": (Layout, "a Layout, e.g. Layout(jax.devices()[:2])"),
    "checkpoints": (Checkpoints, "Checkpoints('folder')"),
    "early_stopping": (EarlyStopping, "EarlyStopping('test_loss', patience=5)"),
    "hyperparameters": (Mapping, 'values by name, e.g. {"learning_rate": [1e-2, 1e-3]}'),
}
FUNCTIONS = ("step", "constraint", "stop")
LISTS = ("before", "monitors", "callbacks")


def check_arguments(given: Mapping[str, Any]) -> None:
    """Check all that can be checked without the data.

    Args:
        given: the arguments of `fit` by name.

    Raises:
        TypeError: an argument of another type, or one that others do not go with.
        ValueError: a number out of range, or an unknown choice.
    """
    _check_model(given["model"], given["seeds"])
    _check_key(given["key"])
    for name, smallest in WHOLE.items():
        _check_whole(name, given[name], smallest)
    for name, (low, high) in BETWEEN.items():
        _check_between(name, given[name], low, high)
    for name, (kind, expected) in KINDS.items():
        if given[name] is not None and not isinstance(given[name], kind):
            raise TypeError(f"{name} is {_shown(given[name])}, expected {expected}")
    for name in FUNCTIONS:
        if given[name] is not None and not callable(given[name]):
            raise TypeError(f"{name} is {_shown(given[name])}, expected a function")
    for name in LISTS:
        _check_functions(name, given[name])
    _check_choices(given["on_nonfinite"], given["compute_dtype"])


def checked_seeds(seeds: Any) -> Any:
    """How many models are trained at once, as Python's int, or their keys; None for one model.

    Raises:
        TypeError: neither a whole number nor random keys.
        ValueError: a number below 1, or keys that are not one axis of them.

    Example:
        >>> checked_seeds(3)
        3
    """
    expected = "expected how many models, e.g. 3, or random keys of shape (K,)"
    if _is_key(seeds):
        if seeds.ndim != 1 or not len(seeds):
            hint = "; one model takes it as key=" if seeds.ndim == 0 else ""
            raise ValueError(f"seeds is random keys of shape {seeds.shape}, {expected}{hint}")
        return seeds
    if seeds is None:
        return None
    if not _is_whole(seeds):
        raise TypeError(
            f"seeds is {_shown(seeds)}, {expected}, e.g. jax.random.split(jax.random.key(0), 3)"
        )
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}, expected at least 1, or random keys of shape (K,)")
    return int(seeds)


def check_hyperparameters(values: Mapping[str, Any], optimizer: Any, models: int) -> None:
    """Check that each is one number for each model, of which the optimizer's state has a place.

    Args:
        values: one for each model, by the hyperparameter's name.
        optimizer: the state of the optimizer.
        models: how many models there are.

    Raises:
        TypeError: an optimizer that was not made by `optax.inject_hyperparams`, or no numbers.
        ValueError: no such hyperparameter, one that is a schedule, or not one for each model.
    """
    if not values:
        return
    found = optax.tree_utils.tree_get_all_with_path
    known = {name for _, held in found(optimizer, "hyperparams") for name in held}
    if not known:
        raise TypeError(
            f"hyperparameters are {', '.join(values)}, but the optimizer holds none; make it by "
            "optax.inject_hyperparams, e.g. optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)"
        )
    schedules = {name for _, held in found(optimizer, "hyperparams_states") for name in held}
    for name, numbers in values.items():
        if name not in known:
            expected = ", ".join(sorted(known - schedules))
            raise ValueError(f"no hyperparameter {name!r}, expected one of {expected}")
        if name in schedules:
            raise ValueError(
                f"hyperparameter {name!r} is a schedule in the optimizer, expected a number, e.g. "
                f"optax.inject_hyperparams(optax.adam)({name}=1e-3)"
            )
        _check_numbers(name, numbers, models)


def _check_model(model: Any, seeds: Any) -> None:
    is_model = isinstance(model, nnx.Module)
    if seeds is None and not is_model:
        hint = "; a function that makes models needs seeds=" if callable(model) else ""
        raise TypeError(f"model is {_shown(model)}, expected an NNX module{hint}")
    if seeds is not None and (is_model or not callable(model)):
        raise TypeError(f"model is {_shown(model)}, expected with seeds= {A_FUNCTION}")


def _check_key(key: Any) -> None:
    if key is not None and not _is_key(key):
        raise TypeError(f"key is {_shown(key)}, expected a random key, e.g. jax.random.key(0)")
    if key is not None and key.ndim:
        raise ValueError(
            f"key has shape {key.shape}, expected one random key; as seeds= they train as many "
            "models"
        )


def _check_whole(name: str, x: Any, smallest: int) -> None:
    if x is None and name != "epochs":
        return
    if not _is_whole(x):
        raise TypeError(f"{name} is {_shown(x)}, expected a whole number")
    if x < smallest:
        raise ValueError(f"{name} is {x}, expected at least {smallest}")


def _check_between(name: str, x: Any, low: float, high: float) -> None:
    expected = "a positive number" if high == math.inf else f"a number between {low:g} and {high:g}"
    if x is None:
        return
    if not isinstance(x, Real) or isinstance(x, bool):
        raise TypeError(f"{name} is {_shown(x)}, expected {expected}, or None")
    if not low < float(x) < high:
        raise ValueError(f"{name} is {x}, expected {expected}, or None")


def _check_functions(name: str, functions: Any) -> None:
    if callable(functions) or not isinstance(functions, Sequence):
        raise TypeError(f"{name} is {_shown(functions)}, expected a list of functions: {name}=[f]")
    for function in functions:
        if not callable(function):
            raise TypeError(f"{name} holds {_shown(function)}, expected functions")


def _check_choices(on_nonfinite: Any, compute_dtype: Any) -> None:
    if on_nonfinite not in ("stop", "skip"):
        raise ValueError(f"on_nonfinite is {on_nonfinite!r}, expected 'stop' or 'skip'")
    if compute_dtype is not None and not jnp.issubdtype(compute_dtype, jnp.floating):
        raise TypeError(
            f"compute_dtype is {compute_dtype!r}, expected a floating dtype, e.g. jnp.bfloat16"
        )


def _check_numbers(name: str, numbers: Any, models: int) -> None:
    expected = f"expected ({models},): one for each model"
    try:
        numbers = jnp.asarray(numbers, jnp.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"hyperparameter {name!r} is {_shown(numbers)}, {expected}") from error
    if numbers.shape != (models,):
        raise ValueError(f"hyperparameter {name!r} has shape {numbers.shape}, {expected}")


def _is_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _is_whole(x: Any) -> TypeGuard[int]:
    return isinstance(x, Integral) and not isinstance(x, bool)


def _shown(x: Any) -> str:
    """What came, in a few words: models and arrays fill pages."""
    if hasattr(x, "dtype") and hasattr(x, "shape"):
        return f"an array {x.dtype}{list(x.shape)}"
    if isinstance(x, (nnx.Module, nnx.Rngs)):
        return f"a {type(x).__name__}"
    name = getattr(x, "__name__", None)
    return f"{type(x).__name__} {name}" if name else repr(x)[:80]
