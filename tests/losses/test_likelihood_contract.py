"""What holds for every likelihood: densities, means, samples, parameters and derivatives.

A likelihood is added to the contract by one line in `LIKELIHOODS`: its name, and its support.
"""

import copy
import dataclasses
import functools
import pickle
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    LIKELIHOODS as READY,
    GaussianError,
    Likelihood,
    bernoulli,
    continuous_bernoulli,
    derivative_of,
    discretised_logistic,
    event_of,
    gaussian,
    laplace,
    learned_gaussian,
    negative_binomial,
    poisson,
    student_t,
    zero_inflated_negative_binomial,
)


class Support(NamedTuple):
    """Where the targets of a likelihood are.

    Args:
        contains: whether numbers are targets.
        quadrature: nodes, shape (Q, N), and weights, (Q, N), that integrate or sum over the
            support, from the N means.
    """

    contains: Callable[[np.ndarray], np.ndarray]
    quadrature: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def of_reals(mean):
    """The double-exponential rule on either side of the mean, where a density may have a kink."""
    u = np.linspace(-4.2, 4.2, 400)[:, None]
    distance = np.exp(np.pi / 2 * np.sinh(u))
    weight = distance * np.pi / 2 * np.cosh(u) * (u[1] - u[0]) + 0 * mean
    return np.concatenate([mean - distance, mean + distance]), np.concatenate([weight, weight])


def of_levels(levels):
    """The sum over these numbers."""
    levels = np.asarray(levels, float)

    def quadrature(mean):
        y = levels[:, None] + 0 * mean
        return y, np.ones_like(y)

    return Support(lambda y: np.isin(y, levels.astype(np.float32)), quadrature)


def of_unit_interval(mean):
    """Gauss and Legendre's rule on [0, 1]."""
    x, weight = np.polynomial.legendre.leggauss(100)
    return (x[:, None] + 1) / 2 + 0 * mean, weight[:, None] / 2 + 0 * mean


REALS = Support(np.isfinite, of_reals)
BINARY = of_levels([0, 1])
COUNTS = of_levels(range(3000))
UNIT_INTERVAL = Support(lambda y: (y >= 0) & (y <= 1), of_unit_interval)

LIKELIHOODS = {
    "bernoulli": (bernoulli, BINARY),
    "continuous_bernoulli": (continuous_bernoulli, UNIT_INTERVAL),
    "discretised_logistic": (discretised_logistic, of_levels(np.arange(256) / 255)),
    "gaussian": (gaussian, REALS),
    "gaussian of another scale": (Likelihood(GaussianError(0.3)), REALS),
    "laplace": (laplace, REALS),
    "learned_gaussian": (learned_gaussian, REALS),
    "negative_binomial": (negative_binomial, COUNTS),
    "poisson": (poisson, COUNTS),
    "student_t": (student_t, REALS),
    "zero_inflated_negative_binomial": (zero_inflated_negative_binomial, COUNTS),
}
every_likelihood = pytest.mark.parametrize(
    ("likelihood", "support"), LIKELIHOODS.values(), ids=LIKELIHOODS
)
N, MANY = 3, 20_000


def predictions(likelihood, rng, *shape):
    """A model's output for targets of this shape."""
    parameters = likelihood.parameters_per_element
    axes = () if parameters == 1 else (parameters,)
    return jnp.asarray(rng.normal(size=(*shape, *axes)), jnp.float32)


def repeated(x, times):
    return jnp.broadcast_to(x, (times, *x.shape))


def integrals(likelihood, support, prediction, function):
    """The integral of function(p, e) over the support, p the density and e the error: (N,)."""
    with jax.enable_x64(True):
        prediction = jnp.asarray(np.asarray(prediction), jnp.float64)
        y, weight = support.quadrature(np.asarray(likelihood.link(prediction)))
        e = jax.jit(likelihood.error)(repeated(prediction, len(y)), jnp.asarray(y))
        e = np.asarray(e)
    return np.sum(weight * function(np.exp(-e), e), axis=0)


@functools.cache
def drawn(likelihood):
    """Predictions of N numbers, their means, many samples of each, (MANY, N), and their errors."""
    prediction = predictions(likelihood, np.random.default_rng(0), N)

    @jax.jit
    def draw(prediction):
        many = repeated(prediction, MANY)
        samples = likelihood.sample(many, key=jax.random.key(0))
        return likelihood.link(prediction), samples, likelihood.error(many, samples)

    return prediction, *(np.asarray(x) for x in draw(prediction))


def assert_means(samples, expected):
    """The samples' means are the expected ones within 5 of their standard errors."""
    samples = np.asarray(samples, np.float64)
    error = samples.std(0) / np.sqrt(len(samples))
    assert (abs(samples.mean(0) - expected) < 5 * error).all()


@every_likelihood
def test_the_density_integrates_to_one(likelihood, support, rng):
    total = integrals(likelihood, support, predictions(likelihood, rng, N), lambda p, e: p)
    np.testing.assert_allclose(total, 1, rtol=1e-9)


@every_likelihood
def test_the_link_is_the_mean_of_many_samples(likelihood, support):
    _, mean, samples, _ = drawn(likelihood)
    assert mean.shape == (N,)
    assert samples.shape == (MANY, N)
    assert support.contains(samples).all()
    assert_means(samples, mean)


@every_likelihood
def test_samples_come_from_the_errors_density(likelihood, support):
    """Their mean error is the density's entropy, −∫ p log p."""
    prediction, _, _, errors = drawn(likelihood)
    entropy = integrals(likelihood, support, prediction, lambda p, e: np.where(p > 0, p * e, 0))
    assert_means(errors, entropy)


@every_likelihood
def test_parameters_per_element_is_the_length_of_one_more_axis(likelihood, support, rng):
    draw = functools.partial(likelihood.sample, key=jax.random.key(0))
    for shape in ((), (N,)):
        prediction = predictions(likelihood, rng, *shape)
        target = jax.eval_shape(draw, prediction)
        assert target.shape == jax.eval_shape(likelihood.link, prediction).shape == shape
        assert jax.eval_shape(likelihood.error, prediction, target).shape == shape
        assert target.dtype == prediction.dtype
    assert event_of(likelihood.error).prediction == int(likelihood.parameters_per_element > 1)


@every_likelihood
def test_one_built_again_copied_or_pickled_is_equal(likelihood, support):
    replaced = dataclasses.replace(likelihood, error=copy.deepcopy(likelihood.error))
    for again in (replaced, pickle.loads(pickle.dumps(likelihood)), copy.copy(likelihood)):
        assert again == likelihood
        assert hash(again) == hash(likelihood)


@every_likelihood
def test_jit_and_vmap_change_nothing(likelihood, support, rng):
    prediction = predictions(likelihood, rng, N)
    keys = jax.random.split(jax.random.key(0), N)

    def draw(of_one):
        prediction, key = of_one
        return likelihood.sample(prediction, key=key)

    @jax.jit
    def both(ones):
        samples = jax.vmap(draw)(ones)
        errors = likelihood.error(prediction, samples)
        return (
            samples,
            jax.lax.map(draw, ones),
            errors,
            jax.vmap(likelihood.error)(ones[0], samples),
        )

    samples, loop, compiled, mapped = both((prediction, keys))
    np.testing.assert_allclose(samples, loop, rtol=1e-5)
    errors = likelihood.error(prediction, samples)
    for got in (compiled, mapped):
        np.testing.assert_allclose(got, errors, rtol=1e-5, atol=1e-6)


@every_likelihood
def test_the_closed_form_is_the_gradient(likelihood, support):
    prediction, _, samples, _ = drawn(likelihood)
    derivative = jax.jit(derivative_of(likelihood.error))(prediction, samples[0])
    gradient = jax.jit(jax.vmap(jax.grad(likelihood.error)))(prediction, samples[0])
    np.testing.assert_allclose(derivative, gradient, rtol=1e-5)


@every_likelihood
def test_the_first_two_derivatives_are_what_finite_differences_give(likelihood, support, rng):
    prediction, _, samples, _ = drawn(likelihood)
    target = samples[0]
    direction = rng.normal(size=prediction.shape)
    with jax.enable_x64(True):
        prediction, target = (jnp.asarray(np.asarray(x, np.float64)) for x in (prediction, target))
        total = jax.value_and_grad(lambda p: likelihood.error(p, target).sum())

        @jax.jit
        def along(step):
            point = prediction + step * direction
            return jax.jvp(total, (point,), (direction,))

        (high, above), _ = along(1e-5)
        (low, below), _ = along(-1e-5)
        (_, gradient), (slope, curvature) = along(0.0)
        assert slope == pytest.approx(float(high - low) / 2e-5, rel=1e-6)
        assert slope == pytest.approx(float(np.vdot(gradient, direction)), rel=1e-9)
        np.testing.assert_allclose(curvature, (above - below) / 2e-5, rtol=1e-6, atol=1e-8)


def test_every_likelihood_that_has_a_name_is_asked():
    assert READY.items() <= {name: x for name, (x, _) in LIKELIHOODS.items()}.items()
