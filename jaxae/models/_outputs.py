"""What a model returns for one sample."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Outputs(NamedTuple):
    """All that the terms of an objective need of one sample's pass through a model.

    Args:
        prediction: the likelihood's parameters for each element, e.g. logits; of the feature shape,
            with one more axis, the last, if there are several.
        latent: the code that the prediction was decoded from.
    """

    prediction: Float[Array, "..."]
    latent: Float[Array, "..."]
