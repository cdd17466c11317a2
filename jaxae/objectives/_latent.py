"""Terms of what a model says of a sample's code: divergences, sparsity, contraction, matching."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxae.losses import (
    BaseLoss,
    Mean,
    contractive_penalty,
    gaussian_kl,
    hutchinson_penalty,
    mmd,
)
from jaxae.objectives._term import Coefficient, Read, Term, View, loss_term

# Of a sample's key, far from the 0, 1, 2, … that a model may split it into.
PRIOR, PROBES = 0x7072696F, 0x70726F62


def latent_term(
    loss: BaseLoss,
    *names: str,
    coefficient: Coefficient = 1.0,
    where: Read | None = None,
    weights: Read | None = None,
) -> Term:
    """A loss of a sample's code as a term: `loss.mean` of the model's outputs of these names.

    Args:
        loss: a loss of codes or of posteriors, e.g. `gaussian_kl`, `free_bits(0.5)`, `l1`.
        *names: the outputs that it takes, in its order; "latent" if none are given.
        coefficient: what the loss is multiplied by, a number or a schedule.
        where: maps the View of one sample to a mask of the code, over a prefix of its axes.
        weights: maps the View of one sample to weights of the code, over such a prefix.

    Returns:
        A Term.

    Raises:
        ValueError: when the term sees a model that has no output of that name.

    Example:
        >>> from jaxae.objectives import Objective, reconstruction
        >>> from jaxae.losses import l1, sse_per_sample
        >>> list(Objective({"r": reconstruction(sse_per_sample), "l1": latent_term(l1)}))
        ['r', 'l1']
    """
    read = OutputsOf(names or ("latent",))
    return loss_term(loss, read, coefficient=coefficient, where=where, weights=weights)


def kl(coefficient: Coefficient = 1.0, loss: BaseLoss = gaussian_kl) -> Term:
    """The divergence of the posterior from the prior, of the outputs "mean" and "log_variance".

    Args:
        coefficient: the β of a β-VAE, a number or a schedule that warms it up.
        loss: `gaussian_kl`, or another loss of means and log-variances, e.g. `free_bits(0.5)`.

    Returns:
        A Term, in nats per sample.

    Example:
        >>> kl(4.0).coefficient, kl() == kl()
        (4.0, True)
    """
    return latent_term(loss, "mean", "log_variance", coefficient=coefficient)


def prior_matching(coefficient: Coefficient = 1.0, loss: BaseLoss = mmd) -> Term:
    """The distance of the codes from draws of the standard normal prior, one for each sample.

    A function of pairs of samples, such as `mmd`, needs all rows of the batch at once. The draw
    belongs to the sample, by its key.

    Args:
        coefficient: what it is multiplied by, the λ of a Wasserstein autoencoder.
        loss: a loss of codes and draws.

    Returns:
        A Term.

    Example:
        >>> prior_matching(10.0).coefficient
        10.0
    """
    return loss_term(loss, latent_and_prior, coefficient=coefficient)


def contractive(coefficient: Coefficient = 1.0, probes: int | None = None) -> Term:
    """The squared norm of the encoder's Jacobian, averaged over samples.

    Args:
        coefficient: what it is multiplied by, a number or a schedule.
        probes: None for the exact penalty, one forward pass for each number of the input; else how
            many random directions estimate it, drawn by the sample's own key.

    Returns:
        A Term.

    Raises:
        ValueError: when the term is used, less than one probe.

    Example:
        >>> contractive(0.1) == contractive(0.1), contractive(0.1) == contractive(0.1, probes=1)
        (True, False)
    """
    return Term(Contractive(probes), coefficient=coefficient)


@dataclasses.dataclass(frozen=True)
class OutputsOf:
    """Reads a model's outputs by their names.

    Args:
        names: attributes of the outputs.

    Raises:
        ValueError: the outputs have no such attribute.
    """

    names: tuple[str, ...]

    def __call__(self, view: View) -> tuple[Array, ...]:
        for name in self.names:
            if not hasattr(view.outputs, name):
                fields = getattr(view.outputs, "_fields", dir(view.outputs))
                raise ValueError(
                    f"the model has no output {name!r}, expected one of {', '.join(fields)}"
                )
        return tuple(getattr(view.outputs, name) for name in self.names)


def latent_and_prior(view: View) -> tuple[Array, Array]:
    """A sample's code and its own draw of the standard normal distribution."""
    code = view.outputs.latent
    return code, jax.random.normal(jax.random.fold_in(view.key, PRIOR), code.shape, code.dtype)


@dataclasses.dataclass(frozen=True)
class Contractive:
    """The sample function of the contractive term."""

    probes: int | None = None

    def __call__(self, view: View) -> Mean:
        if self.probes is None:
            penalty = contractive_penalty(view.model.encode, view.input)
        else:
            key = jax.random.fold_in(view.key, PROBES)
            penalty = hutchinson_penalty(view.model.encode, view.input, key=key, probes=self.probes)
        return Mean(penalty, jnp.ones_like(penalty))
