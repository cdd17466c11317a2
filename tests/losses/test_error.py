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
    assert np.isfinite(slopes).all()
    assert float(value) == 0 if event_of(loss.error).masking == "inputs" else np.isfinite(value)


@pytest.mark.parametrize("loss", [x for x in MARKED if event_of(x.error).elementwise], ids=str)
def test_what_is_not_chosen_is_absent_all_the_same(rng, loss):
    arrays = rng.uniform(0.1, 0.9, (2, 4, 3)).astype(np.float32)
    where = np.array([[True, False, True], [True] * 3, [False] * 3, [False, True, True]])
    hidden = np.where(where, arrays, np.nan)
    chosen = Loss(takes(Event())(lambda prediction, target: loss.error(prediction, target)))
    same = Loss(loss.error)
    for given in ({"where": where}, {"weights": where * np.float32(1.5)}):
        value, slopes = jax.value_and_grad(same, (0, 1))(*hidden, **given)
        expected, expected_slopes = jax.value_and_grad(chosen, (0, 1))(*arrays, **given)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        np.testing.assert_allclose(slopes, expected_slopes, rtol=1e-6, atol=1e-30)
        assert (np.asarray(slopes)[:, ~where] == 0).all()


def test_some_errors_are_marked_and_most_need_no_mark():
    assert event_of(log_cosh_error).masking == "inputs"
    assert event_of(squared_error).masking == "choice"
    assert event_of(squared_error).elementwise


def test_an_unknown_masking_is_refused():
    with pytest.raises(ValueError, match="masking is 'chance', expected"):
        takes(Event(masking=cast(Any, "chance")))
