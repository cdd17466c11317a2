"""Keras ≤ 2.2: a mask and weights each have a denominator of their own, and they multiply."""

import dataclasses
import math
from fractions import Fraction

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._coverage import Count, Coverage
from jaxae.losses._error import event_of, name_of
from jaxae.losses._loss import Loss
from jaxae.losses._mean import Mean, Statistic
from jaxae.losses.conventions._convention import Convention, exact_sum
from jaxae.losses.conventions._scaled import Error, scaled


@dataclasses.dataclass(frozen=True, repr=False)
class Keras22Loss(Loss):
    """The loss of Keras ≤ 2.2: Σ mℓ / Σ m with a mask, Σ wℓ / #{w ≠ 0} with weights.

    With both it is mean(w · m · ℓ) / (mean(m) · mean(w ≠ 0)). Each mean is over the whole batch, so
    the denominator is a product of sums and not a sum over samples: it is computed for whole
    batches only.

    Args:
        error: as of a Loss.
        unit: "element", the only one: Keras 2.2 averages over every number.
        count: "nonzero", the only one.

    Raises:
        ValueError: another unit or count.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import squared_error
        >>> loss = Keras22Loss(squared_error)
        >>> A, Y, weights = jnp.ones((4, 1)), jnp.zeros((4, 1)), jnp.array([2.0, 2.0, 0.0, 0.0])
        >>> float(loss(A, Y, weights=weights))
        2.0
        >>> float(loss(A, Y, where=jnp.array([True, True, False, False]), weights=weights))
        4.0

    References:
        Keras 2.2.4, keras/engine/training_utils.py, weighted_masked_objective,
        https://github.com/keras-team/keras/blob/2.2.4/keras/engine/training_utils.py
    """

    count: Count = "nonzero"

    def __post_init__(self):
        super().__post_init__()
        for name, only in (("unit", "element"), ("count", "nonzero")):
            if getattr(self, name) != only:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, expected {only!r}: Keras 2.2 has one way "
                    "to reduce; for another use Loss(error, unit, count)"
                )

    def __repr__(self) -> str:
        return f"Keras22Loss({name_of(self.error)})"

    def mean(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Statistic:
        """The loss of ONE sample before the division, with a mask or with weights.

        Raises:
            ValueError: a mask and weights at once; and what every loss raises.
        """
        if where is not None and weights is not None:
            raise ValueError(
                "the loss of Keras 2.2 with a mask and weights at once does not add: its "
                "denominator is mean(mask) times mean(weights != 0) of the whole batch, which is "
                "no sum over samples; call the loss on the whole batch, give only one of both, or "
                "use a loss that adds, e.g. Loss(error, count='nonzero')"
            )
        return super().mean(*arrays, where=where, weights=weights)

    def __call__(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Float[Array, ""]:
        """The loss of a whole batch, a scalar; takes what every loss takes."""
        return self.whole(*arrays, where=where, weights=weights).value

    def whole(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Statistic:
        """The statistic of a whole batch: its value is the loss; with both, it adds to no other.

        Takes the same arguments and raises the same errors as calling the loss.
        """
        if where is None or weights is None:
            return self.merged(*arrays, where=where, weights=weights)
        summed = Loss(self.error, unit="total")
        total = summed(*arrays, where=where, weights=weights)
        elements = event_of(self.error).elements([jnp.asarray(x) for x in arrays], batch_axes=1)
        coverage = Coverage(jnp.asarray(where), jnp.asarray(weights)).of_events(len(elements))
        kept = [x.mean(dtype=total.dtype) for x in _counted(coverage)]
        return Mean(total, math.prod(elements) * math.prod(kept))


class Keras22(Convention):
    """The convention whose denominator multiplies where a mask and weights come together."""

    def __call__(self, error: Error) -> Keras22Loss:
        """The loss that Keras ≤ 2.2 computes from this error."""
        return Keras22Loss(scaled(error, self.factor))

    def _denominator(
        self, shape: tuple[int, ...], coverage: Coverage, error: Error | None
    ) -> Fraction:
        means = [exact_sum(x) / x.size for x in _counted(coverage)]
        return Fraction(math.prod(shape)) * math.prod(means)


def _counted(coverage: Coverage) -> list[Array]:
    """What is averaged over the whole batch: the mask and whether a weight is not 0."""
    valid, weights = coverage
    counted = (valid, None if weights is None else weights != 0)
    return [x.astype(jnp.float32) for x in counted if x is not None]


KERAS_2_2 = Keras22(
    "KERAS_2_2",
    "mask: Σmℓ/Σm; weights: Σwℓ/#{w≠0}; both: the product, whole batches only",
    "Keras ≤ 2.2, keras/engine/training_utils.py, weighted_masked_objective (2.2.3 and later add "
    "1e-7 to mean(mask))",
    count="nonzero",
)
