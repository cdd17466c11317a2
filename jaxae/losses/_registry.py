"""Ready-made losses and likelihoods by name."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Array

from jaxae.losses._base import BaseLoss
from jaxae.losses._bernoulli import bce, bernoulli, bernoulli_nll
from jaxae.losses._bernoulli_probabilities import bce_from_probabilities
from jaxae.losses._continuous_bernoulli import continuous_bernoulli, continuous_bernoulli_nll
from jaxae.losses._discretised_logistic import discretised_logistic, discretised_logistic_nll
from jaxae.losses._entropy import bce_excess, bce_excess_from_probabilities
from jaxae.losses._error import event_of, identity, link_of, name_of
from jaxae.losses._focal import focal
from jaxae.losses._gaussian import gaussian, gaussian_nll, learned_gaussian, learned_gaussian_nll
from jaxae.losses._laplace import laplace, laplace_nll
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._negative_binomial import negative_binomial, negative_binomial_nll
from jaxae.losses._poisson import poisson, poisson_nll
from jaxae.losses._quantile import pinball
from jaxae.losses._regression import mae, mse, sse, sse_per_sample
from jaxae.losses._relative import mape, msle
from jaxae.losses._robust import charbonnier, huber, log_cosh
from jaxae.losses._shared_scale import SharedScaleGaussian, shared_gaussian_nll
from jaxae.losses._student_t import student_t, student_t_nll
from jaxae.losses._zero_inflated import (
    zero_inflated_negative_binomial,
    zero_inflated_negative_binomial_nll,
)

LOSSES: Mapping[str, BaseLoss] = {
    loss.name: loss
    for loss in (
        *(bce, bce_excess, bce_excess_from_probabilities, bce_from_probabilities, focal),
        *(mse, sse_per_sample, sse, mae, huber, log_cosh, charbonnier, pinball, msle, mape),
        *(bernoulli_nll, continuous_bernoulli_nll, discretised_logistic_nll),
        *(gaussian_nll, learned_gaussian_nll, shared_gaussian_nll, laplace_nll, student_t_nll),
        *(poisson_nll, negative_binomial_nll, zero_inflated_negative_binomial_nll),
    )
}
"""Losses between numbers and their reconstructions, of any shape."""

LIKELIHOODS: Mapping[str, Likelihood] = {
    "bernoulli": bernoulli,
    "continuous_bernoulli": continuous_bernoulli,
    "discretised_logistic": discretised_logistic,
    "gaussian": gaussian,
    "laplace": laplace,
    "learned_gaussian": learned_gaussian,
    "negative_binomial": negative_binomial,
    "poisson": poisson,
    "student_t": student_t,
    "zero_inflated_negative_binomial": zero_inflated_negative_binomial,
}


def likelihood_for(loss: BaseLoss) -> Likelihood:
    """The likelihood whose predictions a loss takes, so that a model can be built for it.

    It is the loss's own where the loss is a negative log-likelihood, whatever its hyperparameters
    and whatever it is multiplied by; else the one that reads a prediction as the loss does. A loss
    on the data's own scale, such as `mse`, gets Bernoulli's, whose mean lies between 0 and 1 as
    pixels do, and compares that mean.

    Args:
        loss: any loss between predictions and targets.

    Returns:
        A Likelihood.

    Raises:
        ValueError: a loss of classes, whose number it does not know, or one that reads predictions
            as no likelihood does.

    Example:
        >>> likelihood_for(poisson_nll) is poisson, likelihood_for(mse) is bernoulli
        (True, True)
        >>> from jaxae.losses import GaussianError, Loss
        >>> likelihood_for(Loss(GaussianError(0.1), unit="sample"))
        Likelihood(error=GaussianError(scale=0.1), ...)
    """
    error = _innermost(loss.error)
    for likelihood in LIKELIHOODS.values():
        if likelihood.error == error:
            return likelihood
    if hasattr(error, "draw"):
        return Likelihood(error, link_of(error), event_of(error).parameters or 1)
    return gaussian if isinstance(loss, SharedScaleGaussian) else _that_reads_as(error, loss)


def _innermost(error: Any) -> Callable[..., Array]:
    """What an error is made of that is a multiple, a sum or a mean of another one."""
    while callable(inner := getattr(error, "error", None)):
        error = inner
    return error


def _that_reads_as(error: Callable[..., Array], loss: BaseLoss) -> Likelihood:
    """The likelihood of one parameter whose link is the error's; Bernoulli's for the identity."""
    event, link = event_of(error), link_of(error)
    if event.classes:
        raise ValueError(
            f"{loss} does not know how many classes there are; write categorical(classes)"
        )
    if event.prediction == event.target:
        for likelihood in (bernoulli, *LIKELIHOODS.values()):
            if link is identity or link is likelihood.link:
                return likelihood
    raise ValueError(
        f"{loss} reads predictions as no likelihood here does; build the model with one of its "
        f"own, likelihood=Likelihood({name_of(error)}, link, …)"
    )
