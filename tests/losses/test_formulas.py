"""Every elementwise error at extreme arguments, against its formula in exact numbers."""

import jax
import mpmath
import numpy as np

from jaxae.losses import event_of
from tests.losses.catalogue import LOSSES, arguments, extremes, name_of, of_every
from tests.losses.formulas import FORMULAS

# One number of the target, or none, in each error.
OF_NUMBERS = {
    name: x
    for name, x in LOSSES.items()
    if event_of(x.error).target == 0 and not event_of(x.error).classes
}
MOST = 1000  # of the combinations, where there are more


def test_every_error_has_a_formula():
    assert OF_NUMBERS.keys() == FORMULAS.keys()


def exact(loss, columns):
    """The formula's values in float64: those beyond it are infinite, and those beyond float32's."""
    formula = FORMULAS[name_of(loss)]
    rows = np.stack(columns, -1).astype(np.float64).tolist()
    with mpmath.workdps(100), np.errstate(over="ignore"):
        values = [formula(*map(mpmath.mpf, row)) for row in rows]
        return np.array([float(max(min(x, 1e99), -1e99)) for x in values]).astype(np.float32)


def flushed(x):
    """`x` as XLA on CPU reads it: a subnormal number is 0."""
    return np.where(abs(x) < np.finfo(np.float32).tiny, np.float32(0), x)


@of_every(OF_NUMBERS)
def test_extremes_are_the_formulas_numbers_or_infinite_and_never_nan(loss):
    columns = extremes(loss)
    got = np.asarray(jax.jit(loss.error)(*arguments(loss, columns)))
    assert not np.isnan(got).any(), [x[np.isnan(got)] for x in columns]
    if len(got) > MOST:
        chosen = np.random.default_rng(0).choice(len(got), MOST, replace=False)
        columns, got = [x[chosen] for x in columns], got[chosen]
    wrong = ~np.isclose(got, exact(loss, columns), rtol=2e-6, atol=1e-37)
    columns, got = [flushed(x[wrong]) for x in columns], got[wrong]
    wrong = ~np.isclose(got, exact(loss, columns), rtol=2e-6, atol=1e-37)
    assert not wrong.any(), np.stack([*columns, got, exact(loss, columns)])[:, wrong].T[:9]


@of_every(OF_NUMBERS)
def test_gradients_by_every_argument_are_finite_everywhere(loss):
    arrays = arguments(loss, extremes(loss))
    every = tuple(range(len(arrays)))
    gradients = jax.jit(jax.vmap(jax.grad(lambda *arrays: loss.error(*arrays).sum(), every)))
    for got in gradients(*arrays):
        finite = np.isfinite(np.asarray(got)).reshape(len(got), -1).all(1)
        assert finite.all(), [x[~finite][:9] for x in arrays]


def test_a_formula_that_is_wrong_is_found():
    columns = extremes(LOSSES["bce"])
    got = np.asarray(jax.jit(LOSSES["bce"].error)(*columns))
    assert not np.isclose(got, exact(LOSSES["bce_excess"], columns), rtol=2e-6).all()
