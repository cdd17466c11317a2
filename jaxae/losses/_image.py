"""What an image is: height, width, and channels last if it has any."""

import jax.numpy as jnp
from jaxtyping import Array


def planes_of(image: Array, smallest: int = 1, advice: str = "") -> Array:
    """An image (H, W) or (H, W, C) as planes, (C, H, W).

    Args:
        image: one sample.
        smallest: how many pixels each side must have.
        advice: what to do about a smaller one, the end of the message.

    Raises:
        ValueError: another number of axes, or a smaller side.

    Example:
        >>> planes_of(jnp.zeros((5, 4))).shape, planes_of(jnp.zeros((5, 4, 3))).shape
        ((1, 5, 4), (3, 5, 4))
    """
    if image.ndim not in (2, 3):
        raise ValueError(
            f"a sample has shape {image.shape}, expected an image (height, width) or (height, "
            "width, channels); reshape it, e.g. (784,) to (28, 28)"
        )
    if min(image.shape[:2]) < smallest:
        raise ValueError(
            f"a sample has shape {image.shape}, expected a height and width of {smallest} or more; "
            f"{advice}"
        )
    return image[None] if image.ndim == 2 else jnp.moveaxis(image, -1, 0)
