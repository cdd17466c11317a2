import jax
import jax.numpy as jnp
import pytest

from jaxae.losses import (
    LIKELIHOODS,
    LOSSES,
    DiscretisedLogisticError,
    Event,
    GaussianError,
    Likelihood,
    Loss,
    bce_excess,
    bernoulli,
    categorical_cross_entropy,
    cce_from_classes,
    focal,
    gaussian,
    generalised_kl_divergence,
    heteroscedastic_gaussian_error,
    learned_gaussian,
    likelihood_for,
    mse,
    poisson,
    poisson_error,
    reads,
    shared_gaussian_nll,
    squared_error,
    ssim,
    takes,
)
from jaxae.losses.conventions import PYTHAE_VAE, LastAxisMean, Scaled


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_negative_log_likelihood_gets_its_own_likelihood(name):
    assert likelihood_for(LOSSES[f"{name}_nll"]) is LIKELIHOODS[name]


def test_of_other_hyperparameters_too():
    assert likelihood_for(Loss(GaussianError(0.1))) == Likelihood(GaussianError(0.1))
    five_bits = likelihood_for(Loss(DiscretisedLogisticError(32), unit="sample"))
    assert five_bits.parameters_per_element == 2
    levels = 31 * five_bits.sample(jnp.zeros((100, 2)), key=jax.random.key(0))
    assert jnp.allclose(levels, jnp.round(levels), atol=1e-5)


def test_a_loss_on_the_datas_scale_gets_a_mean_between_0_and_1():
    assert likelihood_for(mse) is likelihood_for(ssim) is bernoulli
    assert likelihood_for(shared_gaussian_nll) is gaussian


def test_a_multiple_gets_the_likelihood_of_what_is_multiplied():
    assert likelihood_for(PYTHAE_VAE(poisson_error)) is poisson
    assert likelihood_for(PYTHAE_VAE(GaussianError(0.1))) == Likelihood(GaussianError(0.1))
    assert likelihood_for(Loss(Scaled(heteroscedastic_gaussian_error, 2.0))) is learned_gaussian
    assert likelihood_for(Loss(Scaled(LastAxisMean(squared_error), 2.0))) is bernoulli


def test_a_loss_that_reads_predictions_as_a_likelihood_gets_it():
    assert likelihood_for(focal) is likelihood_for(bce_excess) is bernoulli
    assert likelihood_for(generalised_kl_divergence) is poisson


@takes(Event(prediction=1, target=0, parameters=2))
def interval_error(prediction, target):
    return abs(prediction - target[..., None]).sum(-1)


@reads(jnp.tanh)
def tanh_error(prediction, target):
    return abs(jnp.tanh(prediction) - target)


@pytest.mark.parametrize("error", [categorical_cross_entropy, interval_error, tanh_error])
def test_predictions_that_no_likelihood_reads_are_refused(error):
    with pytest.raises(ValueError, match=f"reads predictions as no.*=Likelihood.{error.__name__}"):
        likelihood_for(Loss(error))


def test_the_number_of_classes_cannot_be_guessed():
    with pytest.raises(ValueError, match=r"write categorical\(classes\)"):
        likelihood_for(cce_from_classes)
