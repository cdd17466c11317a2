import copy

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxae.losses import (
    DiscretisedLogisticError,
    Likelihood,
    Loss,
    discretised_logistic,
    discretised_logistic_nll,
    event_of,
    link_of,
)

ERROR = DiscretisedLogisticError()


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


@np.vectorize
def exact(mean, log_scale, level):
    """−log of the probability of a level out of 256, and its derivatives, to 60 digits."""
    with mpmath.workdps(60):
        m, scale = mpmath.mpf(float(mean)), mpmath.exp(mpmath.mpf(float(log_scale)))
        k = mpmath.mpf(int(level))
        a, b = ((k + half) / 255 - m for half in (mpmath.mpf(0.5), -mpmath.mpf(0.5)))
        above, below = sigmoid(-a / scale), sigmoid(b / scale)
        density_above, density_below = above * sigmoid(a / scale), below * sigmoid(-b / scale)
        # The difference of the sigmoids as a product, or it has no digit 60 scales away.
        p = sigmoid(a / scale) * sigmoid(-b / scale) * -mpmath.expm1(-1 / (255 * scale))
        if level == 0:
            p, density_below = sigmoid(a / scale), mpmath.mpf(0)
        elif level == 255:
            p, density_above = sigmoid(-b / scale), mpmath.mpf(0)
        by_mean = (density_above - density_below) / scale / p
        by_scale = (a * density_above - b * density_below) / scale / p
        return float(-mpmath.log(p)), float(by_mean), float(by_scale)


def pixels(rng, size):
    """Levels, the ends among them, and means near and far from them, of scales e⁻⁷ to e⁴."""
    level = np.where(
        rng.random(size) < 0.6, rng.integers(0, 256, size), 255 * (rng.random(size) < 0.5)
    )
    mean = level / 255 + rng.choice([1e-3, 0.03, 0.5], size) * rng.normal(size=size)
    prediction = jnp.stack([mean, rng.uniform(-7, 4, size)], -1).astype(jnp.float32)
    return prediction, jnp.asarray(level / 255, jnp.float32), level


def test_value_and_derivatives_are_right_to_the_rounding_of_the_distance(rng):
    """The distance is rounded in units of levels: 2⁻²⁴·255/2 of a scale of e⁻⁷ is 8e-6 of it."""
    prediction, y, level = pixels(rng, 1000)
    value, by_mean, by_scale = exact(prediction[:, 0], prediction[:, 1], level)
    scale = np.exp(np.float64(prediction[:, 1]))
    rounding = 3e-7 + 1e-7 / scale
    got, gradient = jax.jit(jax.vmap(jax.value_and_grad(ERROR)))(prediction, y)
    assert (abs(got - value) <= rounding * value).all()
    assert (abs(gradient[:, 0] * scale - by_mean * scale) <= rounding).all()
    assert (abs(gradient[:, 1] - by_scale) <= rounding * (1 + value)).all()


def test_the_median_error_is_below_two_ulp(rng, ulp):
    prediction, y, level = pixels(rng, 301)
    value, _, _ = exact(prediction[:, 0], prediction[:, 1], level)
    got = np.asarray(jax.jit(ERROR)(prediction, y))
    each = [ulp(got[i : i + 1], value[i : i + 1]) for i in range(301)]
    assert np.median(each) < 2


@pytest.mark.parametrize("levels", [2, 32, 256])
@pytest.mark.parametrize(("mean", "log_scale"), [(0.3, -3), (0.2, -30), (-5, -1), (0.33, 40)])
def test_probabilities_of_all_levels_sum_to_one(levels, mean, log_scale):
    y = jnp.arange(levels) / (levels - 1)
    prediction = jnp.tile(jnp.array([mean, log_scale], jnp.float32), (levels, 1))
    error = DiscretisedLogisticError(levels)
    probability = np.exp(-np.float64(jax.jit(error)(prediction, y)))
    assert probability.sum() == pytest.approx(1, abs=2e-6)
    got = error.link(prediction[0])
    assert got == pytest.approx(np.sum(probability * np.asarray(y)), abs=2e-6)


def test_tails_have_no_floor():
    """280 scales away both sigmoids are 0 in float32."""
    prediction, y = jnp.array([0.9, -6.0]), jnp.float32(0.2)
    value, gradient = jax.jit(jax.value_and_grad(ERROR))(prediction, y)
    expected, by_mean, by_scale = exact(0.9, -6.0, 51)
    assert value == pytest.approx(expected, rel=1e-5)
    assert value > 270
    np.testing.assert_allclose(gradient, [by_mean, by_scale], rtol=1e-5)


def test_a_target_counts_as_the_nearest_level():
    prediction = jnp.tile(jnp.array([0.4, -4.0]), (4, 1))
    y = jnp.array([100 / 255, 100.4 / 255, 99.6 / 255, 100.6 / 255])
    got = jax.jit(ERROR)(prediction, y)
    assert got[0] == got[1] == got[2] != got[3]


def test_second_derivatives_agree_with_finite_differences(rng):
    prediction, y, _ = pixels(rng, 60)
    prediction = prediction.at[:10, 0].set(y[:10])
    scale = np.exp(np.float64(prediction[:, 1:]))
    by = np.concatenate([scale, np.ones_like(scale)], -1)  # differences in scales
    with jax.enable_x64(True):
        p, y = np.float64(prediction), np.float64(y)
        gradient = jax.jit(jax.vmap(jax.grad(ERROR)))
        steps = [1e-6 * by * axis for axis in np.eye(2)]
        differences = [(gradient(p + h, y) - gradient(p - h, y)) / 2e-6 for h in steps]
        hessian = np.asarray(jax.jit(jax.vmap(jax.hessian(ERROR)))(p, y))
        again = jax.jit(jax.vmap(jax.jacrev(jax.grad(ERROR))))(p, y)
    differences = np.stack(differences, -1) * by[:, :, None]
    got = hessian * by[:, :, None] * by[:, None, :]
    np.testing.assert_allclose(got, differences, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(again, hessian, rtol=1e-9, atol=1e-12)


def test_closed_form_is_the_derivative(rng):
    prediction, y, _ = pixels(rng, 100)
    got = jax.jit(jax.vmap(jax.grad(ERROR)))(prediction, y)
    closed = jax.jit(ERROR.derivative)(prediction, y)
    np.testing.assert_allclose(closed, got, rtol=1e-6)


def test_extreme_inputs_are_never_nan_and_have_finite_gradients():
    extreme = np.array([-1e30, -1e4, -100, -1e-40, 0, 1e-40, 1, 100, 1e4, 1e30], np.float32)
    targets = np.array([0, 1e-40, 0.2, 1, 1e30, -1e30], np.float32)
    m, t, y = (jnp.asarray(x.ravel()) for x in np.meshgrid(extreme, extreme, targets))
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(ERROR)))(jnp.stack([m, t], -1), y)
    assert (value >= 0).all()
    assert np.isfinite(gradient).all()
    wide = (t == 1e30) & (y == np.float32(0.2))
    np.testing.assert_allclose(value[wide], 1e30, rtol=1e-6)
    assert (value[(t == -1e30) & (m == 0) & (y == 0)] == 0).all()
    assert (value[(t == -1e4) & (m == 0) & (y == 1)] == np.inf).all()


@pytest.mark.parametrize("levels", [1, 0, 2.5, float("nan"), float("inf")])
def test_a_number_of_levels_that_is_not_one_is_refused(levels):
    error = DiscretisedLogisticError()
    object.__setattr__(error, "levels", levels)  # the tests' type checker refuses it earlier
    with pytest.raises(ValueError, match="expected a whole number of at least 2"):
        error.__post_init__()


def test_the_link_is_the_mean_and_samples_are_levels():
    assert event_of(ERROR)[:2] == (1, 0)
    assert link_of(ERROR) == discretised_logistic.link
    assert discretised_logistic.parameters_per_element == 2
    prediction = jnp.array([[0.5, -3.0], [0.98, -2.0], [-0.2, -1.0], [0.201, -30.0]])
    drawn = discretised_logistic.sample(jnp.tile(prediction, (40_000, 1, 1)), key=jax.random.key(0))
    assert np.isin(drawn, (np.arange(256) / 255).astype(np.float32)).all()
    np.testing.assert_allclose(drawn.mean(0), discretised_logistic.link(prediction), atol=4e-3)
    assert (drawn[:, 3] == np.float32(51 / 255)).all()
    lowest = np.exp(-jax.jit(ERROR)(prediction, jnp.zeros(4)))
    np.testing.assert_allclose((drawn == 0).mean(0), lowest, atol=0.01)


def test_likelihoods_of_other_levels_are_equal_when_built_again():
    first, again = (
        Likelihood(error, error.link, parameters_per_element=2)
        for error in (DiscretisedLogisticError(32), copy.deepcopy(DiscretisedLogisticError(32)))
    )
    assert first == again
    assert hash(first) == hash(again)
    assert first != discretised_logistic
    assert Loss(ERROR, unit="sample") == discretised_logistic_nll


def test_nll_adds_over_pixels_and_averages_over_samples(rng):
    prediction, y, level = pixels(rng, 20)
    expected = exact(prediction[:, 0], prediction[:, 1], level)[0].sum() / 4
    got = discretised_logistic_nll(prediction.reshape(4, 5, 2), y.reshape(4, 5))
    assert got == pytest.approx(expected, rel=1e-4)
