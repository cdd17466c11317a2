import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    RBF,
    InverseMultiquadric,
    KernelSum,
    MaximumMeanDiscrepancy,
    PairwiseLoss,
    Rows,
    mmd,
    squared_error,
)
from jaxae.losses._pairwise import squared_distances

KERNELS = {
    "rbf": (RBF(0.8), lambda d2: np.exp(-d2 / (2 * 0.8**2))),
    "inverse multiquadric": (InverseMultiquadric(3.0), lambda d2: 3 / (3 + d2)),
    "sum": (
        KernelSum(tuple(InverseMultiquadric(c) for c in (0.1, 1.0, 10.0))),
        lambda d2: sum(c / (c + d2) for c in (0.1, 1.0, 10.0)),
    ),
}


def direct(k, z, p, w=None):
    """Σ_ij w_i w_j (k(z_i, z_j) + k(p_i, p_j) − 2 k(z_i, p_j)) / (Σ w)² in float64, by loops."""
    w = np.ones(len(z)) if w is None else np.float64(w)
    z, p = (np.float64(x).reshape(len(x), -1) for x in (z, p))
    total = 0.0
    for i, j in itertools.product(range(len(z)), repeat=2):
        zz, pp, zp = (
            k(((a - b) ** 2).sum()) for a, b in ((z[i], z[j]), (p[i], p[j]), (z[i], p[j]))
        )
        total += w[i] * w[j] * (zz + pp - 2 * zp)
    return total / w.sum() ** 2


def rows(rng, n=7, shape=(3,)):
    z, p = rng.normal(size=(2, n, *shape)).astype(np.float32)
    return z + np.float32(0.5), p


@pytest.mark.parametrize("name", KERNELS)
def test_mmd_is_its_definition_with_weights(name, rng):
    kernel, k = KERNELS[name]
    loss = PairwiseLoss(MaximumMeanDiscrepancy(kernel))
    z, p = rows(rng, shape=(2, 2))
    assert loss(z, p) == pytest.approx(direct(k, z, p), rel=1e-5)
    w = np.float32([0, 2, 1, 0, 0.5, 3, 1])
    assert loss(z, p, weights=w) == pytest.approx(direct(k, z, p, w), rel=1e-5)


def test_weight_two_is_twice_and_masked_rows_are_absent(rng):
    z, p = rows(rng)
    w = np.float32([2, 1, 0, 1, 1, 0, 3])
    index = [0, 0, 1, 3, 4, 6, 6, 6]
    spoilt = np.where(w[:, None] == 0, np.nan, z)
    value, gradient = jax.value_and_grad(mmd)(spoilt, p, weights=w)
    assert value == pytest.approx(float(mmd(z[index], p[index])), rel=1e-5)
    assert np.isfinite(gradient).all()
    assert (gradient[w == 0] == 0).all()
    masked = mmd(spoilt, p, where=w != 0)
    assert masked == pytest.approx(float(mmd(z[w != 0], p[w != 0])), rel=1e-5)


def test_equal_rows_do_not_differ_and_have_no_gradient(rng):
    z, _ = rows(rng)
    value, gradient = jax.value_and_grad(mmd)(z, z[::-1])
    assert value == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)


def test_distances_of_zero_have_a_gradient_of_zero():
    ones = jnp.ones((4, 3))
    assert (squared_distances(ones, ones) == 0).all()
    for kernel, _ in KERNELS.values():
        loss = PairwiseLoss(MaximumMeanDiscrepancy(kernel))
        value, gradient = jax.value_and_grad(loss)(ones, ones)
        assert value == 0
        assert (gradient == 0).all()


def test_distances_between_close_rows_keep_their_digits():
    """‖x‖² − 2x·y + ‖y‖² would be 0 or negative here."""
    x = jnp.float32([[1000.0, 1000.0]])
    y = x + jnp.float32(2.0**-10)
    assert squared_distances(x, y) == 2 * 2.0**-20


@pytest.mark.parametrize("features", [0, 1, 2, 10, 784, 150_528])
def test_squared_distances_of_long_rows_keep_their_digits(features, rng):
    x, y = rng.random((2, 3, features), np.float32)
    exact = ((np.float64(x)[:, None] - np.float64(y)[None]) ** 2).sum(-1)
    np.testing.assert_allclose(jax.jit(squared_distances)(x, y), exact, rtol=2e-6)


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_far_rows_have_finite_gradients(scale, rng):
    z, p = rows(rng)
    for kernel, _ in KERNELS.values():
        loss = PairwiseLoss(MaximumMeanDiscrepancy(kernel))
        value, gradient = jax.value_and_grad(loss)(z * np.float32(scale), p)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_nothing_is_zero_with_zero_gradient(rng):
    z, p = rows(rng)
    value, gradient = jax.value_and_grad(mmd)(z * np.nan, p, where=np.zeros(7, bool))
    assert value == 0
    assert (gradient == 0).all()
    assert mmd(z[:0], p[:0]) == 0


def test_one_samples_statistic_is_the_sample():
    got = mmd.mean(jnp.ones(2), jnp.zeros(2), weights=jnp.float32(2))
    assert isinstance(got, Rows)
    assert [x.tolist() for x in got.rows] == [[1, 1], [0, 0]]
    assert got.weight == 2


def test_there_is_no_loss_of_a_single_sample(rng):
    with pytest.raises(TypeError, match="function of pairs of samples"):
        mmd.per_sample(*rows(rng))


def test_masks_and_weights_of_single_numbers_are_refused(rng):
    z, p = rows(rng)
    for arguments in ({"where": np.ones(z.shape, bool)}, {"weights": np.ones_like(z)}):
        with pytest.raises(ValueError, match=r"expected \(7,\), a prefix"):
            mmd(z, p, **arguments)


def test_rows_of_another_number_are_refused(rng):
    z, p = rows(rng)
    with pytest.raises(ValueError, match="nothing is broadcast"):
        mmd(z, p[:5])


def test_an_error_of_single_elements_is_refused():
    with pytest.raises(ValueError, match=r"squared_error is marked.*@takes\(Event\(None, None\)\)"):
        PairwiseLoss(squared_error)


def test_says_what_it_is():
    assert "MaximumMeanDiscrepancy" in repr(mmd)
    assert PairwiseLoss(MaximumMeanDiscrepancy()) == mmd
    assert hash(PairwiseLoss(MaximumMeanDiscrepancy())) == hash(mmd)
