"""Hyperparameters of every public error: finite Python numbers, or a message that names them."""

import dataclasses
import inspect

import jax.numpy as jnp
import pytest

from jaxae import losses

CLASSES = [x for x in vars(losses).values() if inspect.isclass(x) and dataclasses.is_dataclass(x)]
FIELDS = [
    (error, field.name)
    for error in CLASSES
    for field in dataclasses.fields(error)
    if isinstance(field.default, float) or (error, field.name) == (losses.FocalError, "alpha")
]


@pytest.mark.parametrize(("error", "name"), FIELDS)
def test_what_is_no_finite_number_is_refused(error, name):
    """An array could be neither hashed nor compared: a loss would be compiled at each call."""
    for value in (float("inf"), float("nan"), jnp.float32(0.5), "1"):
        built = error()
        object.__setattr__(built, name, value)  # the tests' type checker refuses it earlier
        kind = ValueError if isinstance(value, float) else TypeError
        with pytest.raises(kind, match=f"{name} is .*, expected"):
            built.__post_init__()


def test_there_are_hyperparameters():
    assert len(FIELDS) > 20
