"""Student's t distribution: the likelihood of real targets among which some are far off."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.losses._elementary import saturated
from jaxae.losses._error import Event, takes
from jaxae.losses._hyperparameters import check_from_to
from jaxae.losses._likelihood import Likelihood
from jaxae.losses._location_scale import LARGEST, SMALLEST, LocationScaleError
from jaxae.losses._loss import Loss


@takes(Event(masking="product"))
@dataclasses.dataclass(frozen=True)
class StudentTError(LocationScaleError):
    """Negative log-density of Student's t distribution of fixed scale, elementwise, in nats.

    e = ½(ν + 1) log(1 + z²/ν) + log σ + ½ log νπ + log Γ(ν/2) − log Γ((ν + 1)/2),   z = (y − μ)/σ

    It grows with the logarithm of the distance, so that outliers pull little: the derivative,
    (ν + 1)(μ − y)/(νσ² + (y − μ)²), is largest at a distance of σ√ν and falls beyond it. The
    prediction is the location μ: the median, and the mean where ν > 1. With growing ν it becomes
    `GaussianError`; ν = 1 is the Cauchy distribution, which has no mean.

    Args:
        degrees_of_freedom: ν > 0. The default, 4, has heavy tails and still a finite variance,
            σ²ν/(ν − 2) = 2σ², whose estimates from samples converge slowly below it.
        scale: σ > 0, in the target's unit.

    Raises:
        ValueError: degrees of freedom or a scale that are not positive.

    Example:
        >>> error = StudentTError()
        >>> round(float(error(jnp.array(0.0), jnp.array(1.0))), 4)
        1.5387

    References:
        Lange, Little & Taylor, Robust statistical modeling using the t distribution, Journal of the
        American Statistical Association 84, 1989, https://doi.org/10.1080/01621459.1989.10478852
        Takahashi, Iwata, Yamanaka, Yamada & Yagi, Student-t variational autoencoder for robust
        density estimation, IJCAI 2018, https://doi.org/10.24963/ijcai.2018/374
    """

    degrees_of_freedom: float = 4.0
    scale: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        check_from_to("degrees_of_freedom", self.degrees_of_freedom, SMALLEST, LARGEST)

    def _energy(self, z: Array) -> Array:
        # log(1 + t²) = 2 log t + log(1 + 1/t²) beyond 1, where t² would overflow.
        t = abs(z) / math.sqrt(self.degrees_of_freedom)
        larger = jnp.maximum(t, 1)
        smaller = jnp.minimum(t, 1 / larger)
        folded = jnp.log(larger) + 0.5 * jnp.log1p(smaller * smaller)
        return (self.degrees_of_freedom + 1) * folded

    def _slope(self, z: Array) -> Array:
        # t/(1 + t²) is the same function of 1/t. Written with other constants than the energy: XLA
        # on CPU would store those that both share as arrays.
        ν, root = self.degrees_of_freedom, math.sqrt(self.degrees_of_freedom)
        z = saturated(z)
        larger = jnp.maximum(abs(z), root)
        smaller = z * (root / larger) / larger
        return smaller / (root / (ν + 1) + root / (ν + 1) * (smaller * smaller))

    def _log_normaliser(self) -> float:
        half = 0.5 * self.degrees_of_freedom
        return math.log(self.scale) + 0.5 * math.log(2 * math.pi * half) - _log_gamma_step(half)

    def _standard(self, key: PRNGKeyArray, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
        return jax.random.t(key, self.degrees_of_freedom, shape, dtype)


def _log_gamma_step(x: float) -> float:
    """How much log Γ grows from x to x + ½; by its asymptotic series where x is large."""
    if x < 50:
        return math.lgamma(x + 0.5) - math.lgamma(x)
    return 0.5 * math.log(x) - 1 / (8 * x) + 1 / (192 * x**3) - 1 / (640 * x**5)


student_t = Likelihood(StudentTError())

student_t_nll = Loss(StudentTError(), unit="sample").documented(
    "student_t_nll",
    """Negative log-likelihood of Student's t, 4 degrees of freedom, scale 1, in nats per sample.

    The value is Σ e / N, and the gradient 5(A − Y)/(4 + (A − Y)²)/N: outliers pull little.
    `Loss(StudentTError(10.0, scale=0.1), unit="sample")` has other degrees of freedom and scale.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(student_t_nll(jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2)))), 4)
        4.2524

    References:
        Lange, Little & Taylor, Robust statistical modeling using the t distribution, Journal of the
        American Statistical Association 84, 1989, https://doi.org/10.1080/01621459.1989.10478852
    """,
)

__test__ = {student_t_nll.name: student_t_nll.__doc__}
