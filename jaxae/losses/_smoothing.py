"""Label smoothing: targets that are a little less certain than they claim."""

from jaxtyping import Array


def smooth(target: Array, amount: float, classes: int = 2) -> Array:
    """The target mixed with the uniform distribution: y(1 − s) + s/K.

    Args:
        target: y, probabilities, of any shape.
        amount: s in [0, 1]; 0 leaves the target as it is.
        classes: K, how many classes there are; 2 for the probability of one of two.

    Returns:
        The mixture, of the same shape.

    Example:
        >>> import jax.numpy as jnp
        >>> smooth(jnp.array([0.0, 0.5, 1.0]), 0.5).tolist()
        [0.25, 0.5, 0.75]

    References:
        Szegedy et al., Rethinking the Inception architecture for computer vision, CVPR 2016,
        section 7, https://arxiv.org/abs/1512.00567
    """
    return target if amount == 0 else target * (1 - amount) + amount / classes
