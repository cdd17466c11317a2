"""What tells one run's objective and model from another's."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxae.losses import mse
from jaxae.models import MLPAutoencoder
from jaxae.objectives import Objective, reconstruction
from jaxae.training._identity import described, model_description


def scaled(scale):
    return lambda view: scale * view.input


def nested(limit):
    return lambda view: [min(x, limit) for x in view.input]


def among(names):
    def kept(view, *, least=0):
        return view.input in {"a", "b", "c"} and names

    return kept


@dataclasses.dataclass(frozen=True)
class Weighted:
    read: object
    hidden: int = dataclasses.field(default=0, compare=False)

    def __call__(self, view):
        return self.read(view)


def partial(scale):
    return functools.partial(np.multiply, scale)


ONES = np.ones(3, np.float32)
# What differs in each pair cannot be seen from a function's name.
PAIRS = {
    "a schedule": [optax.linear_schedule(0, 1, 100), optax.linear_schedule(0, 500, 3)],
    "a constant": [optax.constant_schedule(1.0), optax.constant_schedule(2.0)],
    "lambdas": [lambda view: view.input, lambda view: view.target],
    "lambdas' operators": [lambda view: view.input + 2, lambda view: view.input * 2],
    "lambdas' numbers": [lambda view: view.input * 2.0, lambda view: view.input * 3.0],
    "what is closed over": [scaled(1.0), scaled(2.0)],
    "arrays that are closed over": [scaled(ONES), scaled(2 * ONES)],
    "arrays on a device": [scaled(jnp.asarray(ONES)), scaled(jnp.asarray(2 * ONES))],
    "what a part closes over": [nested(1), nested(2)],
    "functions that are closed over": [scaled(scaled(1.0)), scaled(scaled(2.0))],
    "sets that are closed over": [among({"x", "y"}), among({"x", "z"})],
    "defaults": [lambda view, scale=1: view.input, lambda view, scale=2: view.input],
    "compiled functions": [jax.jit(scaled(1.0)), jax.jit(scaled(2.0))],
    "partial functions": [partial(1.0), partial(2.0)],
    "dataclasses": [Weighted(scaled(1.0)), Weighted(scaled(2.0))],
    "keys": [scaled(jax.random.key(1)), scaled(jax.random.key(2))],
    "models": [scaled(MLPAutoencoder((6,), (8, 3), code_activation=x)) for x in (jnp.tanh, abs)],
}


@pytest.mark.parametrize("pair", PAIRS)
def test_what_differs_inside_is_described(pair):
    one, other = PAIRS[pair]
    assert described(one) != described(other)
    assert described(Objective({"r": reconstruction(mse, weights=one)})) != described(
        Objective({"r": reconstruction(mse, weights=other)})
    )


@pytest.mark.parametrize(
    "make",
    [scaled, nested, partial, among, lambda x: Weighted(scaled(x), hidden=id(object()))],
)
def test_what_is_made_again_is_described_the_same(make):
    assert described(make(2.5)) == described(make(2.5))
    assert "0x" not in described(make(2.5))


def test_a_set_has_one_description_whatever_its_order():
    one, other = set([0, 8]), set([8, 0])  # noqa: C405
    assert repr(one) != repr(other)
    assert described(one) == described(other) == "{0, 8}"


def test_functions_of_libraries_are_their_names_in_all_versions():
    assert described([jax.nn.relu, jnp.tanh, np.add, abs]) == "[relu, tanh, add, abs]"
    schedule = described(optax.linear_schedule(0.0, 0.5, 3))
    assert schedule.startswith("polynomial_schedule.<locals>.schedule(end_value=0.5, init_value=0")
    assert described(optax.adam) == "adam"


def test_a_function_that_calls_itself_ends():
    def odd(n):
        return n != 0 and even(n - 1)

    def even(n):
        return n == 0 or odd(n - 1)

    def early():
        return later

    assert "(odd=itself)" in described(odd)
    assert "later" not in described(early)
    later = 1


def test_sources_of_random_numbers_are_no_constants():
    class Noisy(nnx.Module):
        def __init__(self, rngs):
            self.rate, self.rngs, self.noise = 0.5, rngs, rngs.noise

    models = [Noisy(nnx.Rngs(noise=seed)) for seed in (0, 1)]
    models[1].rngs.noise()
    assert model_description(models[0]) == model_description(models[1]) == "Noisy(rate=0.5)"


def test_activations_that_are_lambdas_tell_models_apart():
    models = [
        MLPAutoencoder((6,), (8, 3), code_activation=activation)
        for activation in (lambda x: x + 1, lambda x: x * 2)
    ]
    assert model_description(models[0]) != model_description(models[1])
    assert "code_activation=tanh" in model_description(
        MLPAutoencoder((6,), (8, 3), code_activation=jnp.tanh)
    )
