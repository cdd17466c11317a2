import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
import scipy.special
from jax.test_util import check_grads

from jaxae.losses import (
    ClippedKLDivergence,
    derivative_of,
    generalised_kl_divergence,
    generalised_kl_divergence_error,
    kl_divergence,
    kl_divergence_error,
    kl_divergence_error_from_log_targets,
    kl_divergence_from_probabilities,
)


def distributions(rng, events=50, outcomes=6):
    """Predicted and true probabilities, of which some are 0."""
    p = rng.dirichlet(np.ones(outcomes), events)
    y = np.where(rng.random(p.shape) < 0.2, 0, rng.dirichlet(np.ones(outcomes), events))
    return p.astype(np.float32), (y / y.sum(-1, keepdims=True)).astype(np.float32)


def test_the_sum_is_the_divergence_of_scipy(rng):
    p, y = distributions(rng)
    exact = scipy.special.rel_entr(y.astype(float), p.astype(float)).sum(-1)
    log_p, log_y = (np.log(np.maximum(x, 1e-300, dtype=float)).astype(np.float32) for x in (p, y))
    for error, prediction, target in (
        (kl_divergence_error, log_p, y),
        (kl_divergence_error_from_log_targets, log_p, np.where(y > 0, log_y, -np.inf)),
        (generalised_kl_divergence_error, log_p, y),
        (ClippedKLDivergence(), p, y),
    ):
        got = jax.jit(error)(prediction, target.astype(np.float32)).sum(-1)
        np.testing.assert_allclose(got, exact, rtol=1e-5, atol=3e-6)
    for loss, prediction in (
        (kl_divergence, log_p),
        (generalised_kl_divergence, log_p),
        (kl_divergence_from_probabilities, p),
    ):
        assert loss(prediction, y) == pytest.approx(exact.mean(), rel=1e-5)


def test_errors_are_right_to_the_rounding_of_their_terms(rng, ulp):
    """A quotient and what is never negative keep their digits where both are close as well."""
    y = np.append(rng.uniform(0, 1, 150), 10.0 ** rng.uniform(-30, 0, 150)).astype(np.float32)
    log_p = np.log(y.astype(float) * (1 + rng.normal(0, 0.1, 300))).astype(np.float32)
    p = np.exp(log_p)
    with mpmath.workdps(30):
        rows = [[mpmath.mpf(float(x)) for x in row] for row in zip(log_p, p, y, strict=True)]
        terms = np.array([(float(b * mpmath.log(b)), float(b * r)) for r, _, b in rows])
        plain = np.array([float(b * (mpmath.log(b) - r)) for r, _, b in rows])
        whole = np.array([float(b * (mpmath.log(b) - r) - b + mpmath.exp(r)) for r, _, b in rows])
        quotient = np.array([float(b * mpmath.log(b / q)) for _, q, b in rows])
    larger = abs(terms).max(1)
    assert ulp(jax.jit(kl_divergence_error)(log_p, y), plain, larger) <= 2
    log_y = np.log(y)
    rounded = np.exp(log_y.astype(float)) * (log_y.astype(float) - log_p)
    assert ulp(jax.jit(kl_divergence_error_from_log_targets)(log_p, log_y), rounded) <= 3
    inside = (p < 1) & (np.minimum(p, y) > 1e-18)
    got = np.asarray(jax.jit(ClippedKLDivergence(1e-18))(p, y))
    assert ulp(got[inside], quotient[inside]) <= 4
    got = jax.jit(generalised_kl_divergence_error)(log_p, y)
    assert (got >= 0).all()
    # Twice the rounding of the logarithms, in a square.
    np.testing.assert_allclose(got, whole, atol=2e-7 * y.max(), rtol=1e-2)


def test_derivatives_are_their_formulas(rng):
    p, y = (x.ravel() for x in distributions(rng))
    log_p, log_y = np.log(p), np.log(np.maximum(y, np.float32(1e-30)))
    for error, arrays, slope in (
        (kl_divergence_error, (log_p, y), -y),
        (kl_divergence_error_from_log_targets, (log_p, log_y), -np.exp(log_y)),
        (generalised_kl_divergence_error, (log_p, y), p - y),
        (ClippedKLDivergence(), (p, y), -np.maximum(y, 1e-7) / p),
    ):
        gradient = jax.jit(jax.vmap(jax.grad(error)))(*arrays)
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)
        closed = jax.jit(derivative_of(error))(*arrays)
        np.testing.assert_allclose(closed, gradient, rtol=1e-6)


def test_an_outcome_that_cannot_happen_adds_nothing_whatever_is_predicted():
    zero, r = np.zeros(4, np.float32), np.float32([-np.inf, -1e30, 0, 5])
    for error, target in (
        (kl_divergence_error, zero),
        (kl_divergence_error, zero - 1),
        (kl_divergence_error_from_log_targets, np.full(4, -np.inf, np.float32)),
    ):
        value, slopes = jax.vmap(jax.value_and_grad(error, (0, 1)))(r, target)
        assert (value == 0).all()
        assert not np.isnan(slopes).any()
        assert (slopes[0] == 0).all()


def test_an_outcome_that_is_ruled_out_and_happens_is_as_bad_as_can_be_with_a_finite_slope():
    r = jnp.float32(-jnp.inf)
    value, slope = jax.value_and_grad(kl_divergence_error)(r, jnp.float32(0.5))
    assert value == 0.5 * float(jnp.finfo(jnp.float32).max)
    assert slope == -0.5
    # Keras 3.15.1: kl_divergence([[1.0, 0.0]], [[0.0, 1.0]]), whose second outcome adds −1.6e-6.
    p, y = jnp.array([[0.0, 1.0]]), jnp.array([[1.0, 0.0]])
    assert ClippedKLDivergence()(p, y).sum() == pytest.approx(16.118093490600586, rel=1e-6)
    assert (ClippedKLDivergence().derivative(p, y) == jnp.array([[0, -1e-7]])).all()


def test_the_derivative_of_a_normalised_prediction_is_that_of_optax(rng):
    z, y = rng.normal(size=(4, 6)).astype(np.float32), distributions(rng, 4)[1]

    def ours(z):
        return kl_divergence(jax.nn.log_softmax(z), y)

    def theirs(z):
        return optax.losses.kl_divergence(jax.nn.log_softmax(z), y).mean()

    expected = jax.value_and_grad(theirs)(z)
    for got, right in zip(jax.value_and_grad(ours)(z), expected, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-5, atol=1e-6)


def test_derivatives_agree_with_differences_to_second_order(rng):
    p, y = (x.astype(float) for x in rng.uniform(0.1, 0.9, (2, 5)))

    def all_of_them(p, y):
        log_p = jnp.log(p)
        logs = kl_divergence_error_from_log_targets(log_p, jnp.log(y))
        others = kl_divergence_error(log_p, y) + 3 * generalised_kl_divergence_error(log_p, y)
        return logs + 2 * others + 5 * ClippedKLDivergence()(p, y)

    with jax.enable_x64(True):
        check_grads(jax.jit(all_of_them), (p, y), 2, ("fwd", "rev"), rtol=1e-4)


def test_an_epsilon_without_meaning_is_refused():
    for epsilon in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"epsilon is .*, expected a number above 0 and below"):
            ClippedKLDivergence(epsilon)
