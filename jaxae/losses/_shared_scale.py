"""A normal distribution whose one scale, shared by all numbers, is the best for the batch."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._base import BaseLoss
from jaxae.losses._coverage import denominator
from jaxae.losses._hyperparameters import check_choice, check_from_to, store_python_numbers
from jaxae.losses._mean import Mean, Sums
from jaxae.losses._regression import squared_error

Unit = Literal["element", "sample"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SquaredErrors(Sums):
    """What a scale shared by a batch is found from, not divided yet.

    Args:
        total: Σ w·m·e, the weighted sum of the squared errors, a scalar.
        numbers: how many numbers count.
        samples: how many samples count.

    Example:
        >>> first = SquaredErrors(jnp.float32(6.0), jnp.float32(3.0), jnp.float32(1.0))
        >>> [float(x) for x in (first + first).value]
        [2.0, 3.0]
    """

    total: Any
    numbers: Any
    samples: Any

    @property
    def value(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The mean squared error, and how many numbers a sample has on average."""
        return Mean(self.total, self.numbers).value, Mean(self.numbers, self.samples).value


@dataclasses.dataclass(frozen=True, repr=False)
class SharedScaleGaussian(BaseLoss):
    """Negative log-likelihood of a normal distribution of the scale that makes it least, in nats.

    NLL = numbers · ½(log 2πσ² + MSE/σ²),   σ² = max(MSE, minimum_variance)

    where `numbers` is 1 for the unit "element" and, for "sample", how many numbers a sample has on
    average. Above the minimum that is numbers · ½(log(2π·MSE) + 1). It weighs reconstruction
    against a KL divergence without a hyperparameter: this is the σ-VAE with an optimal σ.

    The scale is a function of the whole batch and is found after the merge, so value and gradient
    do not depend on the cut. The gradient is that of the NLL at the scale held fixed,
    (A − Y)/(N·σ²), because there the derivative by σ is 0. `per_sample` gives each sample a scale
    of its own.

    Args:
        unit: "sample" for nats per sample, "element" for nats per number.
        minimum_variance: the least σ², in the square of the target's unit. A batch that is met
            exactly would have an infinite density; the default is little above the rounding errors
            of float32 numbers about 1. The σ-VAE's code has about e^(−12) for images in [0, 1].

    Raises:
        ValueError: an unknown unit, or a minimum that is not a positive number of float32.

    Example:
        >>> loss = SharedScaleGaussian(unit="element")
        >>> A, Y = jnp.array([[0.5, 0.5], [0.5, 0.5]]), jnp.array([[0.0, 1.0], [1.0, 0.0]])
        >>> round(float(loss(A, Y)), 4), float(loss.scale(A, Y))
        (0.7258, 0.5)

    References:
        Rybkin, Daniilidis & Levine, Simple and effective VAE training with calibrated decoders,
        ICML 2021, section 4.2, https://arxiv.org/abs/2006.13202
    """

    # A default would be an attribute of the class, where a function becomes a method.
    error: Callable[..., Array] = dataclasses.field(
        default_factory=lambda: squared_error, init=False
    )
    unit: Unit = "sample"
    minimum_variance: float = 1e-12

    def __post_init__(self):
        super().__post_init__()
        check_choice("unit", self.unit, get_args(Unit))
        check_from_to("minimum_variance", self.minimum_variance, 2.0**-126, 2.0**126)
        store_python_numbers(self)

    def __repr__(self) -> str:
        return f"SharedScaleGaussian({self.unit!r}, minimum_variance={self.minimum_variance})"

    def mean(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> SquaredErrors:
        """What the scale of a batch needs of ONE sample; the merged value is (MSE, numbers).

        Takes the same arguments and raises the same errors as `Loss.mean`.
        """
        converted, coverage = self.converted(arrays, where, weights)
        errors, counts = self.errors(*coverage.cover(converted)), coverage.counts("weight")
        total = coverage.weigh(errors).sum()
        numbers, samples = (denominator(counts, unit, errors) for unit in get_args(Unit))
        return SquaredErrors(total, numbers, samples)

    def finish(self, value: Any) -> Float[Array, ""]:
        """The negative log-likelihood, from (MSE, numbers per sample); 0 where nothing counts."""
        mse, numbers = value
        # Of log σ² + MSE/σ² one part is constant on either side of the minimum, and only one.
        excess = jnp.minimum(mse, self.minimum_variance) / self.minimum_variance
        per_number = 0.5 * (math.log(2 * math.pi) + jnp.log(self._variance(mse)) + excess)
        error = numbers * per_number if self.unit == "sample" else per_number
        return jnp.where(numbers > 0, error, 0)

    def scale(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Float[Array, ""]:
        """The batch's σ, the root of its mean squared error, in the target's unit.

        Takes the same arguments and raises the same errors as calling the loss.

        Returns:
            A scalar, at least the root of `minimum_variance`, which is also the scale of nothing.
        """
        mse, _ = self.merged(*arrays, where=where, weights=weights).value
        return jnp.sqrt(self._variance(mse))

    def _variance(self, mse: Array) -> Array:
        return jnp.maximum(mse, self.minimum_variance)


shared_gaussian_nll = SharedScaleGaussian().documented(
    "shared_gaussian_nll",
    """Negative log-likelihood of a normal distribution of the batch's best scale, nats per sample.

    C·½(log(2π·MSE) + 1), where C is how many numbers a sample has. The gradient is
    (A − Y)/(N·MSE). `shared_gaussian_nll.scale(predictions, targets)` is the scale, √MSE.

    Example:
        >>> import jax.numpy as jnp
        >>> A, Y = jnp.array([[0.5, 0.5], [0.5, 0.5]]), jnp.array([[0.0, 1.0], [1.0, 0.0]])
        >>> round(float(shared_gaussian_nll(A, Y)), 4)
        1.4516

    References:
        Rybkin, Daniilidis & Levine, Simple and effective VAE training with calibrated decoders,
        ICML 2021, section 4.2, https://arxiv.org/abs/2006.13202
    """,
)

__test__ = {shared_gaussian_nll.name: shared_gaussian_nll.__doc__}
