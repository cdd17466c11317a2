"""What an error says of itself, held to: how a mask keeps it out of the sum."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    Event,
    Loss,
    StudentTError,
    event_of,
    log_cosh_error,
    squared_error,
    takes,
)
from jaxae.losses.conventions._scaled import Scaled
from tests.losses.catalogue import LOSSES

MORE = [Loss(StudentTError(1e-6, 1e-6)), Loss(StudentTError(1e6, 1e6))]
MARKED = [x for x in [*LOSSES.values(), *MORE] if event_of(x.error).masking != "choice"]
FINITE = [x for x in MARKED if event_of(x.error).masking != "slopes"]


@pytest.mark.parametrize("loss", FINITE, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_error_that_is_not_chosen_is_finite_at_zero(loss, dtype):
    with jax.enable_x64(dtype == np.float64):
        zeros = [jnp.zeros((), dtype)] * 2
        value, slopes = jax.value_and_grad(loss.error, (0, 1))(*zeros)
        curvatures = jax.hessian(loss.error, (0, 1))(*zeros)
    assert np.isfinite(value)
    assert np.isfinite([slopes, *curvatures]).all()
    assert event_of(loss.error).masking != "inputs" or float(value) == 0


WHERE = np.array([[True, False, True], [True] * 3, [False] * 3, [False, True, True]])
WEIGHTS = np.array([[1, 1, 0], [2, 0.5, 1], [1, 1, 1], [1, 0, 3]], np.float32)
EVERY = np.ones((4, 3), bool)
COVERED = [{"where": WHERE}, {"weights": WHERE * WEIGHTS}, {"where": WHERE, "weights": WEIGHTS}]


@pytest.mark.parametrize("loss", [x for x in MARKED if event_of(x.error).elementwise], ids=str)
def test_what_is_not_chosen_is_absent_all_the_same(rng, loss):
    """In values, which are chosen alone, and with slopes and curvatures."""
    arrays = rng.uniform(0.1, 0.9, (2, 4, 3)).astype(np.float32)
    with jax.disable_jit():  # operations one by one, which losses share: little to compile
        chosen = Loss(takes(Event())(lambda prediction, target: loss.error(prediction, target)))
        same = Loss(loss.error)
        for given in COVERED:
            absent = ~given.get("where", EVERY) | (given.get("weights", EVERY) == 0)
            hidden = np.where(absent, np.nan, arrays)
            expected, expected_slopes = jax.value_and_grad(chosen, (0, 1))(*arrays, **given)
            value, slopes = jax.value_and_grad(same, (0, 1))(*hidden, **given)
            each = chosen.per_sample(*arrays, **given)
            np.testing.assert_allclose(same(*hidden, **given), expected, rtol=1e-6)
            np.testing.assert_allclose(same.per_sample(*hidden, **given), each, rtol=1e-6)
            np.testing.assert_allclose(value, expected, rtol=1e-6)
            np.testing.assert_allclose(slopes, expected_slopes, rtol=1e-6, atol=1e-30)
            assert (np.asarray(slopes)[:, absent] == 0).all()
        curvatures = jax.hessian(same)(*hidden, **given)
        assert np.isfinite(curvatures).all()


@pytest.mark.parametrize("masking", ["choice", "slopes", "product", "inputs"])
def test_a_mask_inside_an_event_reaches_the_value_as_well(masking):
    event = Event(1, 1, zero_is_absent=True, masking=masking)
    loss = Loss(takes(event)(lambda prediction, target: ((prediction - target) ** 2).sum(-1)))
    A, where = jnp.array([[1.0, jnp.nan], [2.0, 3.0]]), jnp.array([[True, False], [True, True]])
    assert loss(A, jnp.zeros_like(A), where=where) == 7
    assert jax.value_and_grad(loss)(A, jnp.zeros_like(A), where=where)[0] == 7


def test_a_scaled_error_is_masked_as_the_error_is():
    double = Scaled(log_cosh_error, 2.0)
    assert event_of(double).masking == "inputs"
    A, where = jnp.array([[0.5, jnp.nan]]), jnp.array([[True, False]])
    got = Loss(double)(A, jnp.zeros_like(A), where=where)
    assert got == pytest.approx(2 * float(jnp.log(jnp.cosh(0.5))), rel=1e-6)


def test_some_errors_are_marked_and_most_need_no_mark():
    assert event_of(log_cosh_error).masking == "inputs"
    assert event_of(squared_error).masking == "choice"
    assert event_of(squared_error).elementwise


def test_an_unknown_masking_is_refused():
    chance = takes(Event(masking=cast(Any, "chance")))(lambda prediction, target: prediction)
    with pytest.raises(ValueError, match="masking is 'chance', expected"):
        Loss(chance)
