import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxae.losses import (
    GaussianError,
    Loss,
    bernoulli,
    binary_cross_entropy,
    from_logits,
    gaussian,
    identity,
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


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_gaussian_error_is_scipys_density(scale, rng):
    mean, target = rng.normal(size=(2, 100)).astype(np.float32)
    expected = -scipy.stats.norm.logpdf(target, mean, scale)
    got = GaussianError(scale)(jnp.asarray(mean), jnp.asarray(target))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match="expected a positive number"):
        GaussianError(scale)
