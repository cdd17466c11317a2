"""What every autoencoder is: a module for one sample that encodes, decodes, and does both."""

from typing import Any

from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses import Likelihood, Statistic
from jaxae.models._outputs import Outputs


class Autoencoder(nnx.Module):
    """The base of all models; its methods are written for ONE sample and batched by `jax.vmap`.

    A model of your own sets both attributes and defines `encode` and `decode`; one that draws
    random numbers, or whose terms need more than prediction and latent, defines the call as well.
    It draws from `key`, which belongs to the sample, and not from generators inside the module.

    Attributes:
        feature_shape: the shape of one sample.
        likelihood: what the prediction is, and how to read it.
        axis_name: the axis over which a model couples the samples of a batch, such as "batch" for
            batch normalisation; None for a model that does not. In training, a model that does is
            called with `weight=` as well, how often the sample counts, so that padding can be left
            out: `jax.lax.psum(weight * x, axis_name) / jax.lax.psum(weight, axis_name)`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import gaussian
        >>> class Halves(Autoencoder):
        ...     feature_shape, likelihood = (4,), gaussian
        ...     def encode(self, x):
        ...         return x[:2]
        ...     def decode(self, z):
        ...         return jnp.concatenate([z, z])
        >>> Halves()(jnp.arange(4.0)).prediction.tolist()
        [0.0, 1.0, 0.0, 1.0]
    """

    feature_shape: tuple[int, ...]
    likelihood: Likelihood
    axis_name: str | None = None

    def encode(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """The latent of one sample."""
        raise NotImplementedError(f"{type(self).__name__} defines no encode")

    def decode(self, z: Float[Array, "..."]) -> Float[Array, "..."]:
        """The prediction from one latent: the likelihood's parameter for each element."""
        raise NotImplementedError(f"{type(self).__name__} defines no decode")

    def __call__(self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None) -> Outputs:
        """The prediction and the latent of one sample; `key` is for models that draw numbers."""
        latent = self.encode(x)
        return Outputs(prediction=self.decode(latent), latent=latent)

    def statistics(self, outputs: Any) -> dict[str, Statistic]:
        """What of one sample's outputs the model's own state is made of, by name; none here.

        Such as a Mean of a one-hot code, for the counts of a codebook. They are merged over the
        batch, padding left out, and given to `absorb`.
        """
        return {}

    def absorb(self, statistics: dict[str, Statistic]) -> None:
        """Update the model's own state by its statistics, merged over a batch, after its step."""
