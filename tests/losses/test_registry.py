import jax
import jax.numpy as jnp
import pytest

from jaxae.losses import (
    LIKELIHOODS,
    LOSSES,
    DiscretisedLogisticError,
    GaussianError,
    Likelihood,
    Loss,
    bernoulli,
    cce_from_classes,
    gaussian,
    likelihood_for,
    mse,
    shared_gaussian_nll,
    ssim,
)


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


def test_the_number_of_classes_cannot_be_guessed():
    with pytest.raises(ValueError, match=r"write categorical\(classes\)"):
        likelihood_for(cce_from_classes)
