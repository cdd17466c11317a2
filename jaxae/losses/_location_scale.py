"""Densities of a standardised difference: the target's distance from its location, in scales."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses._elementary import saturated
from jaxae.losses._float64 import in_float64
from jaxae.losses._hyperparameters import check_from_to, store_python_numbers

SMALLEST, LARGEST = 2.0**-63, 2.0**63  # the squares and their inverses are float32 numbers


class LocationScaleError:
    """Negative log-density of z = (target − prediction)/scale, elementwise, in nats.

    e = energy(z) + log_normaliser

    The prediction is the location, so the likelihood's link is the identity. A subclass is a frozen
    dataclass with a field `scale` that defines the energy, its slope, the normaliser and how a
    number is drawn where the location is 0 and the scale 1. The derivative by the prediction is
    −slope(z)/scale; where float32 overflows it is the largest finite number.
    """

    scale: float

    def __post_init__(self):
        check_from_to("scale", self.scale, SMALLEST, LARGEST)
        store_python_numbers(self)

    def __call__(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """The errors, of the same shape, in nats."""
        return _negative_log_density(self, prediction, target)

    def derivative(
        self, prediction: Float[Array, "..."], target: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """The closed form of the derivative by the prediction, in nats per unit of the target."""
        return -saturated(self._slope((target - prediction) / self.scale) / self.scale)

    def draw(self, prediction: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """Targets drawn about their locations, one for each number of the prediction."""
        return prediction + self.scale * self._standard(key, prediction.shape, prediction.dtype)

    def _energy(self, z: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} defines no _energy")

    def _slope(self, z: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} defines no _slope")

    def _log_normaliser(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} defines no _log_normaliser")

    def _standard(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
        raise NotImplementedError(f"{type(self).__name__} defines no _standard")


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _negative_log_density(error: LocationScaleError, prediction: Array, target: Array) -> Array:
    def density(prediction: Array, target: Array) -> Array:
        return error._energy((target - prediction) / error.scale) + error._log_normaliser()

    # A negative normaliser cancels against the energy.
    formula = in_float64(density) if error._log_normaliser() < 0 else density
    return formula(prediction, target)


@_negative_log_density.defjvp
def _negative_log_density_jvp(error, primals, tangents):
    (prediction, target), (dprediction, dtarget) = primals, tangents
    value = _negative_log_density(error, prediction, target)
    return value, error.derivative(prediction, target) * (dprediction - dtarget)
