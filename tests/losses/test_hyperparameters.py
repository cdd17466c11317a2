"""Hyperparameters of every public error: finite Python numbers, or a message that names them."""

import dataclasses
import inspect
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
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


@pytest.mark.parametrize(("error", "name"), FIELDS)
def test_a_fraction_and_a_number_of_numpy_are_the_number(error, name):
    share = Fraction(1, 4) if name == "epsilon" else Fraction(1, 2)  # both are in every range
    plain = error(**{name: float(share)})
    for number in (share, np.float64(share), np.float32(share)):
        built = error()
        object.__setattr__(built, name, number)  # the tests' type checker refuses it earlier
        built.__post_init__()
        assert (built, hash(built), repr(built)) == (plain, hash(plain), repr(plain))
        assert type(getattr(built, name)) is float


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (losses.HuberError, "delta"),
        (losses.GaussianError, "scale"),
        (losses.StudentTError, "degrees_of_freedom"),
        (losses.BinaryCrossEntropy, "pos_weight"),
        (losses.FocalError, "alpha"),
    ],
)
def test_a_number_of_numpy_makes_no_float64_of_float32(error, name):
    x, built = jnp.full(2, 0.75, jnp.float32), error(**{name: np.float64(0.25)})
    with jax.enable_x64(True):
        assert built(x, x).dtype == jnp.float32


def test_sequences_hold_numbers_of_python():
    weights = losses.MultiScaleStructuralDissimilarity(weights=(np.float64(0.5), 0.5)).weights
    assert list(map(type, weights)) == [float, float]


def test_there_are_hyperparameters():
    assert len(FIELDS) > 20
