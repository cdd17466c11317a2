import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxae.losses import (
    Event,
    PairwiseLoss,
    TotalCorrelation,
    event_of,
    posterior_log_ratios,
    total_correlation,
)


def minibatch_weighted(z, mean, log_variance, size, weights=None):
    """Chen et al. 2018: mean of log q(z) − Σ_l log q(z_l), each 1/(KM) Σ_j q(· | x_j)."""
    w = np.ones(len(z)) if weights is None else np.float64(weights)
    z, mean, log_variance = (np.float64(x) for x in (z, mean, log_variance))
    log_q = scipy.stats.norm.logpdf(z[:, None], mean[None], np.exp(log_variance / 2)[None])
    norm = np.log(size * w.sum())
    joint = scipy.special.logsumexp(log_q.sum(2), axis=1, b=w[None]) - norm
    marginals = scipy.special.logsumexp(log_q, axis=1, b=w[None, :, None]) - norm
    return np.average(joint - marginals.sum(1), weights=w)


def posteriors(rng, n=8, latents=3):
    mean, log_variance, noise = rng.normal(size=(3, n, latents))
    z = mean + np.exp(log_variance / 2) * noise
    return tuple(x.astype(np.float32) for x in (z, mean, log_variance))


def test_is_the_papers_estimator(rng):
    arrays = posteriors(rng)
    assert total_correlation(*arrays) == pytest.approx(minibatch_weighted(*arrays, 1), rel=1e-5)
    sized = PairwiseLoss(posterior_log_ratios, TotalCorrelation(dataset_size=60_000))
    assert sized(*arrays) == pytest.approx(minibatch_weighted(*arrays, 60_000), rel=1e-5)


def test_the_size_of_the_data_set_adds_a_constant(rng):
    arrays = posteriors(rng)
    sized = PairwiseLoss(posterior_log_ratios, TotalCorrelation(dataset_size=1000))
    (more, slope), (value, same) = (
        jax.value_and_grad(x)(*arrays) for x in (sized, total_correlation)
    )
    assert more - value == pytest.approx(2 * np.log(1000), rel=1e-5)
    np.testing.assert_allclose(slope, same, rtol=1e-5, atol=1e-6)


def test_weights_repeat_rows_and_absent_rows_are_not_there(rng):
    z, mean, log_variance = posteriors(rng)
    w = np.float32([1, 0, 2, 1, 0, 1, 3, 1])
    spoilt = np.where(w[:, None] == 0, np.nan, z)
    value, gradient = jax.value_and_grad(total_correlation)(spoilt, mean, log_variance, weights=w)
    expected = minibatch_weighted(z, mean, log_variance, 1, w)
    assert value == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(gradient).all()
    assert (gradient[w == 0] == 0).all()


def test_latents_that_copy_each_other_are_correlated_and_equal_posteriors_are_not(rng):
    _, mean, _ = posteriors(rng, 64, 1)
    mean = 10 * np.concatenate([mean, mean], axis=1)
    narrow = np.full_like(mean, -8)
    entropy = np.log(64)  # both latents name the sample: TC is what one says of the other
    assert total_correlation(mean, mean, narrow) == pytest.approx(entropy, rel=0.05)
    same = np.zeros_like(mean)
    assert total_correlation(mean / 10, same, same) == pytest.approx(0, abs=1e-6)


def test_posteriors_that_are_alike_keep_their_digits(rng):
    z, mean, log_variance = posteriors(rng)
    arrays = z, mean * np.float32(0.05), log_variance * np.float32(0.05)
    expected = minibatch_weighted(*arrays, 1)
    assert abs(expected) < 0.05
    assert total_correlation(*arrays) == pytest.approx(expected, abs=1e-7)


def test_ratios_are_those_of_densities(rng):
    z, mean, log_variance = (jnp.asarray(x) for x in posteriors(rng))
    exact = [np.float64(x) for x in (z, mean, np.exp(log_variance / 2))]
    log_q = scipy.stats.norm.logpdf(exact[0][:, None], exact[1][None], exact[2][None])
    own = log_q[np.arange(8), np.arange(8)][:, None]
    got = posterior_log_ratios(z, mean, log_variance)
    np.testing.assert_allclose(got, log_q - own, rtol=1e-4, atol=1e-5)


def test_rows_may_have_any_shape(rng):
    arrays = posteriors(rng, 8, 4)
    square = tuple(x.reshape(8, 2, 2) for x in arrays)
    assert total_correlation(*square) == pytest.approx(float(total_correlation(*arrays)), rel=1e-6)


@pytest.mark.parametrize("extreme", [1e4, -1e4, 1e30, -1e30])
def test_extreme_posteriors_have_finite_gradients(extreme, rng):
    z, mean, log_variance = posteriors(rng)
    for arrays in ((z, mean, log_variance * 0 + extreme), (z, mean * extreme, log_variance)):
        arrays = tuple(x.astype(np.float32) for x in arrays)
        value, gradients = jax.value_and_grad(total_correlation, argnums=(0, 1, 2))(*arrays)
        assert not np.isnan(value)
        assert all(np.isfinite(x).all() for x in gradients)


def test_nothing_is_zero_with_zero_gradient(rng):
    arrays = posteriors(rng)
    value, gradient = jax.value_and_grad(total_correlation)(*arrays, where=np.zeros(8, bool))
    assert value == 0
    assert (gradient == 0).all()
    assert total_correlation(*(x[:0] for x in arrays)) == 0


def test_needs_all_rows():
    assert event_of(posterior_log_ratios) == Event(None, None)


@pytest.mark.parametrize("size", [0, -5])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match=f"dataset_size is {size}, expected a whole number"):
        TotalCorrelation(size)
