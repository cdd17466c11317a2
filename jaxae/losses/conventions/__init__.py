"""Which number another library would have printed, and how to train as with its loss.

Libraries agree about the errors and disagree about what their sum is divided by. Each named
convention builds a loss from any error:

>>> import jax.numpy as jnp
>>> from jaxae.losses import binary_cross_entropy, squared_error
>>> from jaxae.losses.conventions import HINTON_2006, KERAS_2_3, KERAS_3, OPTAX_L2, PYTHAE_VAE
>>> from jaxae.losses.conventions import NAMES, SGD, VAES, constant, effective_beta, table
>>> A, Y = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.zeros((2, 2))
>>> KERAS_3(squared_error), float(KERAS_3(squared_error)(A, Y))
(Loss(squared_error, unit='element', count='valid'), 7.5)
>>> float(HINTON_2006(squared_error)(A, Y)), float(PYTHAE_VAE(squared_error)(A, Y))
(15.0, 7.5)

Two versions of one library can disagree, too. Keras 2.3 counts what is masked:

>>> where = jnp.array([True, False])
>>> [float(convention(squared_error)(A, Y, where=where)) for convention in (KERAS_2_3, KERAS_3)]
[1.25, 2.5]

Keras's Dice and Tversky losses are these per-sample errors only with the axes of a sample, e.g.
`keras.losses.Dice(axis=(1, 2, 3))`. By default, axis=None, the whole batch is one pair of sets, and
that is another number; it is what `dice(P[None], T[None])` computes. Keras's alpha of Tversky
weighs the false negatives and its beta the false positives, so both change places in
`TverskyError`:

>>> from jaxae.losses import TverskyError
>>> P, T = jnp.array([[1.0, 1.0], [1.0, 0.0]]), jnp.array([[1.0, 0.0], [1.0, 0.0]])
>>> loss = KERAS_3(TverskyError(alpha=0.5, beta=0.5))
>>> [round(float(x), 4) for x in (loss(P, T), loss(P[None], T[None]))]
[0.1667, 0.2]

`NAMES` says what the losses of three libraries are here, and which of them are not:

>>> NAMES["torch.nn.functional.smooth_l1_loss"], NAMES["keras.losses.KLDivergence"]
('Scaled(HuberError(beta), 1 / beta)', 'LastAxisSum(ClippedKLDivergence())')
>>> NAMES["optax.losses.hinge_loss"]
'not here: a margin between classes, which reconstructs nothing'

A library that does not reduce has the error itself:

>>> OPTAX_L2(squared_error)(A, Y).tolist()
[[0.5, 2.0], [4.5, 8.0]]

`table` prints all of them, with the formula and where it was read:

>>> print(table([HINTON_2006, KERAS_2_3]))
name         factor  unit     count   value              read from
HINTON_2006  1       sample   weight  Σℓ/N: summed ...   Hinton & Salakhutdinov, ...
KERAS_2_3    1       element  all     Σmwℓ/numel: ...    Keras 2.3 and TF-Keras 2, ...

Between two conventions there is a constant, whatever the predictions are, and hyperparameters that
train to the same parameters under both:

>>> constant(KERAS_3, HINTON_2006, (100, 784))
Fraction(784, 1)
>>> SGD(learning_rate=0.5).convert(2)
SGD(learning_rate=0.25, weight_decay=0.0, clip_norm=None)

The β of a VAE depends on how both of its terms are reduced. Flax's NNX example writes 0.1:

>>> round(VAES["FLAX_NNX_VAE"].effective_beta(features=784, latents=32), 12)
2.45
>>> VAES["PYOD_VAE"].effective_beta(features=784, latents=32)  # its KL is clamped at 0
0.0
>>> effective_beta(reconstruction=KERAS_3, kl=HINTON_2006, features=784, latents=32)
784.0
"""

from jaxae.losses.conventions._clamps import (
    KERAS_EPSILON as KERAS_EPSILON,
    TORCH_LOG_CLAMP as TORCH_LOG_CLAMP,
)
from jaxae.losses.conventions._convention import Convention as Convention, constant as constant
from jaxae.losses.conventions._conversion import SGD as SGD, Adam as Adam
from jaxae.losses.conventions._keras_2_2 import KERAS_2_2 as KERAS_2_2, Keras22Loss as Keras22Loss
from jaxae.losses.conventions._keras_3_sum import KERAS_3_SUM as KERAS_3_SUM
from jaxae.losses.conventions._libraries import (
    CONVENTIONS as CONVENTIONS,
    DICTIONARY_LEARNING as DICTIONARY_LEARNING,
    DIFFUSERS_AUTOENCODER_KL as DIFFUSERS_AUTOENCODER_KL,
    FLAX_LINEN_VAE as FLAX_LINEN_VAE,
    FLAX_NNX_VAE as FLAX_NNX_VAE,
    HINTON_2006 as HINTON_2006,
    KERAS_2_3 as KERAS_2_3,
    KERAS_3 as KERAS_3,
    KERAS_3_WEIGHTED as KERAS_3_WEIGHTED,
    KERAS_VAE as KERAS_VAE,
    OPTAX as OPTAX,
    OPTAX_L2 as OPTAX_L2,
    PYOD_VAE as PYOD_VAE,
    PYTHAE_AE as PYTHAE_AE,
    PYTHAE_VAE as PYTHAE_VAE,
    SAELENS as SAELENS,
    SCVI as SCVI,
    TORCH_BATCHMEAN as TORCH_BATCHMEAN,
    TORCH_MEAN as TORCH_MEAN,
    TORCH_NONE as TORCH_NONE,
    TORCH_SUM as TORCH_SUM,
    TORCH_WEIGHTED_MEAN as TORCH_WEIGHTED_MEAN,
    mean_of_means as mean_of_means,
    table as table,
)
from jaxae.losses.conventions._names import NAMES as NAMES
from jaxae.losses.conventions._outputs import SeveralOutputs as SeveralOutputs
from jaxae.losses.conventions._scaled import (
    LastAxisMean as LastAxisMean,
    LastAxisSum as LastAxisSum,
    Scaled as Scaled,
)
from jaxae.losses.conventions._vae import (
    VAES as VAES,
    VAEConvention as VAEConvention,
    clamped_at_capacity as clamped_at_capacity,
    effective_beta as effective_beta,
)
