import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    GaussianError,
    Likelihood,
    Loss,
    bernoulli,
    binary_cross_entropy,
    from_logits,
    gaussian,
    identity,
    learned_gaussian,
    link_of,
    squared_error,
)


def test_bernoulli_reads_logits_as_probabilities():
    z = jnp.array([-1.0, 0.0, 1.0])
    assert jnp.allclose(bernoulli.link(z), 1 / (1 + jnp.exp(-z)))


def test_gaussian_reads_a_prediction_as_it_is():
    assert gaussian.link is identity


def test_errors_say_what_they_read():
    assert link_of(binary_cross_entropy) is jax.nn.sigmoid
    assert link_of(squared_error) is identity


def test_an_error_of_ones_own_can_be_marked():
    @from_logits
    def brier(logits, target):
        return (jax.nn.sigmoid(logits) - target) ** 2

    assert link_of(brier) is jax.nn.sigmoid
    assert brier(jnp.float32(0), jnp.float32(1)) == 0.25


def test_an_error_with_hyperparameters_can_be_marked():
    @from_logits
    @dataclasses.dataclass(frozen=True)
    class Focal:
        gamma: float = 2.0

        def __call__(self, logits, target):
            error = binary_cross_entropy(logits, target)
            return (1 - jnp.exp(-error)) ** self.gamma * error

    assert link_of(Focal()) is jax.nn.sigmoid
    assert Loss(Focal())(jnp.zeros((1, 1)), jnp.ones((1, 1))) == pytest.approx(np.log(2) / 4)


def test_a_likelihood_of_another_scale_is_another_one():
    assert Likelihood(GaussianError(0.5)) == Likelihood(GaussianError(0.5))
    assert Likelihood(GaussianError(0.5)) != gaussian


def test_a_copy_of_a_likelihood_is_equal():
    """A copy of `jax.nn.sigmoid`, which is compiled, would not equal it."""
    assert copy.deepcopy(bernoulli) == bernoulli


def test_an_error_that_draws_needs_no_sampler():
    samples = Likelihood(GaussianError(0.01)).sample(jnp.full(1000, 5.0), key=jax.random.key(0))
    assert jnp.std(samples) == pytest.approx(0.01, rel=0.1)


def test_a_sampler_of_ones_own_comes_first():
    likelihood = Likelihood(GaussianError(), sampler=lambda prediction, *, key: 2 * prediction)
    assert likelihood.sample(jnp.ones(2), key=jax.random.key(0)).tolist() == [2, 2]


def test_a_likelihood_without_a_sampler_says_so():
    with pytest.raises(ValueError, match="has no sampler; build it with Likelihood"):
        Likelihood(squared_error).sample(jnp.zeros(2), key=jax.random.key(0))


def test_a_prediction_of_another_number_of_parameters_is_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 3\), expected 2 on the last axis"):
        learned_gaussian.sample(jnp.zeros((4, 3)), key=jax.random.key(0))
    with pytest.raises(TypeError, match="int32, expected a floating"):
        gaussian.sample(jnp.zeros(3, int), key=jax.random.key(0))
