"""The lists of what other libraries have, held to the libraries where they are installed."""

import importlib.util
import inspect
import re

import optax
import pytest

from jaxae import losses
from jaxae.losses import conventions
from jaxae.losses.conventions import NAMES

HERE = {name: text for name, text in NAMES.items() if not text.startswith("not here: ")}


def names_of(module):
    return {name.removeprefix(f"{module}.") for name in NAMES if name.startswith(f"{module}.")}


def test_every_loss_of_optax_is_named():
    modules = {name for name, x in vars(optax.losses).items() if inspect.ismodule(x)}
    public = {name for name in vars(optax.losses) if not name.startswith("_")} - modules
    assert names_of("optax.losses") == public


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="keras is not installed")
def test_every_loss_of_keras_is_named(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    import keras

    public = {name for name, x in vars(keras.losses).items() if inspect.isclass(x)}
    assert names_of("keras.losses") == public - {"Loss"}


@pytest.mark.parametrize("name", HERE)
def test_what_computes_it_is_public(name):
    """The errors that the entry names; the other words are the library's hyperparameters."""
    words = re.findall(r"[A-Za-z]\w*", HERE[name])
    known = vars(losses) | vars(conventions)
    assert [word for word in words if word in known]
    errors = [w for w in words if w.endswith(("Error", "Entropy", "Divergence", "_error"))]
    assert all(word in known for word in errors)
