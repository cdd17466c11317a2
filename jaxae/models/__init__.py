"""Autoencoders: Flax NNX modules written for one sample.

A model maps one sample to its Outputs; `jax.vmap` makes the batch:

>>> import jax, jax.numpy as jnp
>>> from flax import nnx
>>> from jaxae.models import MLPAutoencoder, encode, reconstruct
>>> model = MLPAutoencoder((8, 8), widths=(32, 8), rngs=nnx.Rngs(0))
>>> X = jnp.full((100, 8, 8), 0.5)
>>> jax.vmap(model)(X).prediction.shape
(100, 8, 8)

The prediction is what the likelihood says it is, here logits; `reconstruct` reads it, and `encode`
gives the codes, for arrays of any length:

>>> reconstruct(model, X).shape, encode(model, X).shape
((100, 8, 8), (100, 8))
"""

from jaxae.models._arrays import decode as decode, encode as encode, reconstruct as reconstruct
from jaxae.models._autoencoder import Autoencoder as Autoencoder
from jaxae.models._mlp import (
    MLP as MLP,
    MLPAutoencoder as MLPAutoencoder,
    default_widths as default_widths,
)
from jaxae.models._outputs import Outputs as Outputs
from jaxae.models._registry import MODELS as MODELS
