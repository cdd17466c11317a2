"""Objectives: named terms of one sample, merged over samples, finished last.

>>> from jaxae.losses import bce
>>> from jaxae.objectives import Objective, reconstruction
>>> Objective({"reconstruction": reconstruction(bce)})["reconstruction"].coefficient
1.0

Terms of the code stand beside it, each with its own mask, weights and denominator:

>>> from jaxae.losses import Loss, binary_cross_entropy
>>> from jaxae.objectives import contractive, kl
>>> nats = Loss(binary_cross_entropy, unit="sample")
>>> elbo = Objective({"reconstruction": reconstruction(nats), "kl": kl()})
>>> cae = Objective({"reconstruction": reconstruction(bce), "contractive": contractive(0.1)})

A term of your own maps the View of ONE sample to a Mean; here, the size of the code:

>>> import jax.numpy as jnp
>>> from jaxae.losses import Mean
>>> from jaxae.objectives import Term
>>> def code_norm(view):
...     return Mean(jnp.sum(view.outputs.latent ** 2), jnp.float32(1))
>>> objective = Objective({
...     "reconstruction": reconstruction(bce),
...     "code": Term(code_norm, coefficient=1e-3),
... })
>>> list(objective)
['reconstruction', 'code']
"""

from jaxae.objectives._batch import Batch as Batch, filled as filled
from jaxae.objectives._latent import (
    Contractive as Contractive,
    OutputsOf as OutputsOf,
    contractive as contractive,
    kl as kl,
    latent_and_prior as latent_and_prior,
    latent_term as latent_term,
    prior_matching as prior_matching,
)
from jaxae.objectives._merge import (
    Statistics as Statistics,
    axis_name_of as axis_name_of,
    batch_statistics as batch_statistics,
    batch_summary as batch_summary,
    finish as finish,
    sample_statistics as sample_statistics,
    summary as summary,
    term_values as term_values,
    total as total,
)
from jaxae.objectives._pieces import gradient as gradient
from jaxae.objectives._reconstruction import (
    Reconstruction as Reconstruction,
    reconstruction as reconstruction,
)
from jaxae.objectives._term import (
    Coefficient as Coefficient,
    Finish as Finish,
    LossOf as LossOf,
    Objective as Objective,
    Term as Term,
    View as View,
    loss_term as loss_term,
)
