"""What pulls latents and the codes that stand for them together, in vector quantisation."""

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from jaxae.losses._error import closed_form
from jaxae.losses._loss import Loss
from jaxae.losses._regression import squared_error


@closed_form(lambda latent, code: 2 * (latent - code))
def commitment_error(latent: Float[Array, "..."], code: Float[Array, "..."]) -> Float[Array, "..."]:
    """Squared distance that moves only the latent, elementwise: e = (latent − sg(code))².

    sg is `jax.lax.stop_gradient`. Its derivative by the latent is 2(latent − code), and by the code
    0.

    Args:
        latent: what the encoder returned, of any shape.
        code: the codebook's entry that stands for it, of the same shape.

    Returns:
        The errors, of the same shape, in the square of the latent's unit.

    Example:
        >>> commitment_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])).tolist()
        [0.0, 4.0]

    References:
        van den Oord, Vinyals & Kavukcuoglu, Neural discrete representation learning, NIPS 2017,
        equation 3, https://arxiv.org/abs/1711.00937
    """
    return squared_error(latent, stop_gradient(code))


@closed_form(lambda latent, code: jnp.zeros_like(latent))
def codebook_error(latent: Float[Array, "..."], code: Float[Array, "..."]) -> Float[Array, "..."]:
    """Squared distance that moves only the code, elementwise: e = (sg(latent) − code)².

    sg is `jax.lax.stop_gradient`. Its derivative by the latent is 0, and by the code
    2(code − latent).

    Args:
        latent: what the encoder returned, of any shape.
        code: the codebook's entry that stands for it, of the same shape.

    Returns:
        The errors, of the same shape, in the square of the latent's unit.

    Example:
        >>> codebook_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0])).tolist()
        [0.0, 4.0]

    References:
        van den Oord, Vinyals & Kavukcuoglu, Neural discrete representation learning, NIPS 2017,
        equation 3, https://arxiv.org/abs/1711.00937
    """
    return squared_error(stop_gradient(latent), code)


commitment = Loss(commitment_error, unit="sample").documented(
    "commitment",
    """Commitment loss of vector quantisation: Σ ‖latent − sg(code)‖² / N. It moves the encoder.

    In the square of the latents' unit, summed over all that a sample has, as the ELBO is, and
    averaged over samples; multiply it by the paper's β, 0.25. DeepMind's own Sonnet takes the mean
    over all numbers instead, which is `Loss(commitment_error)`.

    Example:
        >>> import jax.numpy as jnp
        >>> float(commitment(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 0.0]])))
        5.0

    References:
        van den Oord, Vinyals & Kavukcuoglu, Neural discrete representation learning, NIPS 2017,
        equation 3, https://arxiv.org/abs/1711.00937
    """,
)

codebook = Loss(codebook_error, unit="sample").documented(
    "codebook",
    """Codebook loss of vector quantisation: Σ ‖sg(latent) − code‖² / N. It moves the codes.

    In the square of the latents' unit, summed over all that a sample has, and averaged over
    samples; DeepMind's own Sonnet takes the mean over all numbers instead, which is
    `Loss(codebook_error)`.

    Example:
        >>> import jax.numpy as jnp
        >>> float(codebook(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 0.0]])))
        5.0

    References:
        van den Oord, Vinyals & Kavukcuoglu, Neural discrete representation learning, NIPS 2017,
        equation 3, https://arxiv.org/abs/1711.00937
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (commitment, codebook)}
