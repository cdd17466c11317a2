import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxae.losses import (
    KLSparsity,
    absolute_activation,
    activation,
    activation_from_logits,
    derivative_of,
    kl_sparsity,
    l1,
    link_of,
)


def divergence(rate, means):
    """ρ log(ρ/ρ̂) + (1 − ρ) log((1 − ρ)/(1 − ρ̂)) to 50 digits, as float64."""
    with mpmath.workdps(50):
        p = mpmath.mpf(rate)
        q = [mpmath.mpf(float(x)) for x in means]
        return np.array(
            [float(p * mpmath.log(p / x) + (1 - p) * mpmath.log((1 - p) / (1 - x))) for x in q]
        )


@functools.cache
def of_one_mean(rate):
    finisher = KLSparsity(rate)
    return jax.jit(jax.vmap(jax.value_and_grad(lambda mean: finisher(mean, jnp.ones((), bool)))))


def test_l1_is_summed_over_a_sample_and_averaged_over_samples(rng):
    code = rng.normal(size=(5, 4)).astype(np.float32)
    code[0, 0] = 0
    value, gradient = jax.value_and_grad(l1)(code)
    assert value == pytest.approx(abs(code).sum() / 5, rel=1e-6)
    np.testing.assert_allclose(gradient, np.sign(code) / 5)


def test_l1_of_extreme_codes_is_exact():
    code = jnp.float32([1e30, -1e30, 1e4, 0, -0.0])
    np.testing.assert_array_equal(absolute_activation(code), abs(code))
    gradient = jax.vmap(jax.grad(absolute_activation))(code)
    np.testing.assert_array_equal(gradient, [1, -1, 1, 0, 0])
    np.testing.assert_array_equal(derivative_of(absolute_activation)(code), gradient)


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_the_divergence_is_right_where_the_means_are_close_as_well(rate, rng):
    near = rate * (1 + 10.0 ** rng.uniform(-6, -1, 300) * rng.choice([-1, 1], 300))
    means = np.concatenate([near, rng.uniform(1e-6, 1 - 1e-6, 300)]).astype(np.float32)
    value, slope = of_one_mean(rate)(means)
    exact_rate = float(np.float32(rate))
    np.testing.assert_allclose(value, divergence(exact_rate, means), rtol=2e-6)
    q = means.astype(np.float64)
    np.testing.assert_allclose(slope, (q - exact_rate) / (q * (1 - q)), rtol=2e-6)


def test_the_divergence_is_right_in_float64(rng):
    with jax.enable_x64(True):
        means = np.append(rng.uniform(1e-9, 1, 200), 0.25 * (1 + 10.0 ** rng.uniform(-6, -1, 50)))
        value, slope = of_one_mean(0.25)(means)
        np.testing.assert_allclose(value, divergence(0.25, means), rtol=1e-9)
        np.testing.assert_allclose(slope, (means - 0.25) / (means * (1 - means)), rtol=1e-12)


def test_units_that_never_or_always_fire_are_finite():
    value, slope = of_one_mean(0.05)(np.float32([0, 1]))
    # The logarithm of nothing counts as −100.
    np.testing.assert_allclose(
        value,
        [
            0.05 * 99 + 0.95 * (1 / 0.95 - 1 + np.log(0.95)),
            0.95 * 99 + 0.05 * (20 - 1 - np.log(20)),
        ],
        rtol=1e-5,
    )
    np.testing.assert_allclose(slope, [-0.05e12, 0.95e12], rtol=1e-5)


def test_means_outside_count_as_the_nearer_end_and_are_led_back_inside():
    ends = of_one_mean(0.05)(np.float32([0, 1]))
    for numbers in ([-1e-40, 1 + 1e-6], [-0.1, 1.5], [-1e4, 1e4], [-3e38, 3e38]):
        value, slope = of_one_mean(0.05)(np.float32(numbers))
        np.testing.assert_array_equal(value, ends[0])
        np.testing.assert_array_equal(slope, ends[1])
    assert slope[0] < 0 < slope[1]


def test_means_at_the_rate_are_nothing_with_no_gradient():
    value, slope = of_one_mean(0.25)(np.float32([0.25]))
    assert value == slope == 0


def test_the_loss_is_of_the_batch_means_of_each_unit(rng):
    codes = rng.uniform(0, 1, (6, 4)).astype(np.float32)
    expected = divergence(0.1, codes.astype(np.float64).mean(0)).sum()
    assert kl_sparsity(0.1)(codes) == pytest.approx(expected, rel=1e-5)
    logits = np.log(codes) - np.log1p(-codes)
    got = kl_sparsity(0.1, activation_from_logits)(logits)
    assert got == pytest.approx(expected, rel=1e-5)


def test_activations_say_what_they_read(rng):
    assert link_of(activation_from_logits) is jax.nn.sigmoid
    z = jnp.asarray(rng.normal(0, 3, 100).astype(np.float32))
    for error in (activation, activation_from_logits):
        gradient = jax.vmap(jax.grad(error))(z)
        np.testing.assert_allclose(gradient, derivative_of(error)(z), rtol=1e-5)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ValueError, match=f"rate is {rate}, expected a number above 0 and below 1"):
        kl_sparsity(rate)


def test_equal_rates_are_equal_losses():
    assert kl_sparsity(0.1) == kl_sparsity(0.1) != kl_sparsity(0.2)
    assert hash(kl_sparsity(0.1)) == hash(kl_sparsity(0.1))
