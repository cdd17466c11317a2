"""The dense autoencoder: multilayer perceptrons that narrow to a code and widen again."""

import itertools
import math
from collections.abc import Callable, Sequence

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxae.losses import Likelihood, bernoulli, identity
from jaxae.models._autoencoder import Autoencoder

Activation = Callable[[Array], Array]


class MLP(nnx.Module):
    """A multilayer perceptron for one sample, linear in its last layer.

    Kernels start Glorot-uniform and biases at zero, as in Keras.

    Args:
        sizes: widths of input, hidden layers and output.
        activation: between the layers.
        rngs: the source of the initial kernels.

    Example:
        >>> import jax.numpy as jnp
        >>> MLP((4, 8, 2), rngs=nnx.Rngs(0))(jnp.ones(4)).shape
        (2,)

    References:
        Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks,
        AISTATS 2010, eq. 16, https://proceedings.mlr.press/v9/glorot10a.html
    """

    def __init__(self, sizes: Sequence[int], *, activation: Activation = nnx.relu, rngs: nnx.Rngs):
        kernel_init = jax.nn.initializers.glorot_uniform()
        self.activation = activation
        self.layers = nnx.List(
            nnx.Linear(fan_in, fan_out, kernel_init=kernel_init, rngs=rngs)
            for fan_in, fan_out in itertools.pairwise(sizes)
        )

    def __call__(self, x: Float[Array, " input"]) -> Float[Array, " output"]:
        """The output for one input."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)


def default_widths(features: int) -> tuple[int, ...]:
    """The widths on 784 pixels of the Keras question, with a smaller code on smaller data."""
    return (128, 64, 28 if features > 64 else 8)


class MLPAutoencoder(Autoencoder):
    """A dense autoencoder over features of any shape: features → widths → code → widths → features.

    The default widths give the network 784-128-64-28-64-128-784 on 28×28 images. Hidden layers are
    followed by the activation, the code is linear, and the prediction is the likelihood's
    parameter: logits for the Bernoulli likelihood, whose sigmoid is the reconstruction.

    Args:
        feature_shape: the shape of one sample.
        widths: of the encoder's layers, the last of which is the code; the decoder mirrors them.
            128, 64, 28 by default, and 128, 64, 8 for 64 features or fewer.
        activation: after each hidden layer.
        code_activation: after the code; `nnx.relu` gives the networks of the Keras tutorials, but
            a rectified unit of a small code that dies takes its share of the code with it.
        likelihood: what the prediction is; `gaussian` for targets that are any real number.
        rngs: the source of the initial parameters.

    Raises:
        ValueError: no widths, or a width below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> model = MLPAutoencoder((28, 28), rngs=nnx.Rngs(0))
        >>> outputs = model(jnp.zeros((28, 28)))
        >>> outputs.prediction.shape, outputs.latent.shape
        ((28, 28), (28,))

    References:
        Hinton & Salakhutdinov, Reducing the dimensionality of data with neural networks, Science
        313, 2006, https://doi.org/10.1126/science.1127647
    """

    def __init__(
        self,
        feature_shape: Sequence[int],
        widths: Sequence[int] | None = None,
        *,
        activation: Activation = nnx.relu,
        code_activation: Activation = identity,
        likelihood: Likelihood = bernoulli,
        rngs: nnx.Rngs | None = None,
    ):
        features = math.prod(feature_shape)
        widths = default_widths(features) if widths is None else tuple(widths)
        if not widths or min(widths) < 1:
            raise ValueError(f"widths are {widths}, expected one or more positive integers")
        rngs = nnx.Rngs(0) if rngs is None else rngs
        outputs = features * likelihood.parameters_per_element
        self.feature_shape = tuple(feature_shape)
        self.likelihood = likelihood
        self.code_activation = code_activation
        self.encoder = MLP((features, *widths), activation=activation, rngs=rngs)
        self.decoder = MLP((*reversed(widths), outputs), activation=activation, rngs=rngs)

    def encode(self, x: Float[Array, "..."]) -> Float[Array, " code"]:
        """The code of one sample.

        Raises:
            ValueError: a sample that is not of the feature shape.
        """
        if x.shape != self.feature_shape:
            raise ValueError(
                f"x has shape {x.shape}, expected one sample of shape {self.feature_shape}; "
                "use jax.vmap(model.encode) or jaxae.models.encode(model, X) for a batch"
            )
        return self.code_activation(self.encoder(x.reshape(-1)))

    def decode(self, z: Float[Array, " code"]) -> Float[Array, "..."]:
        """The prediction from one code, of the feature shape (logits by default).

        If the likelihood has several parameters per element it has one more axis, the last.
        """
        per_element = self.likelihood.parameters_per_element
        parameters = () if per_element == 1 else (per_element,)
        return self.decoder(z).reshape(*self.feature_shape, *parameters)
