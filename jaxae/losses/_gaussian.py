"""The normal distribution of fixed scale: the likelihood of a target that is any real number."""

import dataclasses
import math

from jaxtyping import Array, Float

from jaxae.losses._likelihood import Likelihood


@dataclasses.dataclass(frozen=True)
class GaussianError:
    """Negative log-density of a normal distribution of fixed scale, elementwise, in nats.

    e = ½((y − μ)/σ)² + log σ + ½ log 2π

    Args:
        scale: σ > 0, the standard deviation, in the target's unit.

    Raises:
        ValueError: a scale that is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> error = GaussianError()
        >>> round(float(error(jnp.array(0.0), jnp.array(1.0))), 4)
        1.4189
    """

    scale: float = 1.0

    def __post_init__(self):
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}, expected a positive number")

    def __call__(
        self, mean: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        standardised = (target - mean) / self.scale
        return 0.5 * standardised**2 + (math.log(self.scale) + 0.5 * math.log(2 * math.pi))


gaussian = Likelihood(GaussianError())
