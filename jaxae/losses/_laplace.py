"""The Laplace distribution: the likelihood of a target whose absolute error is to be small."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.losses._likelihood import Likelihood
from jaxae.losses._location_scale import LocationScaleError
from jaxae.losses._loss import Loss


@dataclasses.dataclass(frozen=True)
class LaplaceError(LocationScaleError):
    """Negative log-density of a Laplace distribution of fixed scale, elementwise, in nats.

    e = |y − μ|/b + log 2b

    The prediction is the mean μ, which is the median too. The derivative is sign(μ − y)/b, and 0
    where both are equal.

    Args:
        scale: b > 0, the mean absolute error, in the target's unit; the standard deviation is √2·b.

    Raises:
        ValueError: a scale that is not positive.

    Example:
        >>> error = LaplaceError()
        >>> round(float(error(jnp.array(0.0), jnp.array(1.0))), 4)
        1.6931

    References:
        Kotz, Kozubowski & Podgórski, The Laplace distribution and generalizations, Birkhäuser,
        2001, https://doi.org/10.1007/978-1-4612-0173-1
    """

    scale: float = 1.0

    def _energy(self, z: Array) -> Array:
        return abs(z)

    def _slope(self, z: Array) -> Array:
        return jnp.sign(z)

    def _log_normaliser(self) -> float:
        return math.log(2 * self.scale)

    def _standard(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
        return jax.random.laplace(key, shape, dtype)


laplace = Likelihood(LaplaceError())

laplace_nll = Loss(LaplaceError(), unit="sample").documented(
    "laplace_nll",
    """Negative log-likelihood of a Laplace distribution of scale 1, in nats per sample: Σ e / N.

    The sum of a sample's absolute errors, plus log 2 for each of its C numbers. Its gradient is
    sign(A − Y)/N. `Loss(LaplaceError(0.1), unit="sample")` has another scale.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(laplace_nll(jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2)))), 4)
        4.3863

    References:
        Kotz, Kozubowski & Podgórski, The Laplace distribution and generalizations, Birkhäuser,
        2001, https://doi.org/10.1007/978-1-4612-0173-1
    """,
)

__test__ = {laplace_nll.name: laplace_nll.__doc__}
