"""Keras's "sum" is no plain sum: each sample's loss is a mean over the last axis before it.

The mean is taken inside Keras's loss function, of elementwise errors only: cross-entropy over
classes is one number already, and is added as it is.
"""

from fractions import Fraction

from jaxae.losses._coverage import Coverage
from jaxae.losses._error import event_of
from jaxae.losses._loss import Loss
from jaxae.losses.conventions._convention import Convention
from jaxae.losses.conventions._scaled import Error, LastAxisMean


class Keras3Sum(Convention):
    """The convention that divides by the length of the last axis, and by nothing else."""

    def __call__(self, error: Error) -> Loss:
        """The loss that Keras 3 computes from this error with `reduction="sum"`."""
        return Loss(LastAxisMean(error) if event_of(error).elementwise else error, unit="total")

    def _denominator(
        self, shape: tuple[int, ...], coverage: Coverage, error: Error | None
    ) -> Fraction:
        return Fraction(shape[-1] if error is None or event_of(error).elementwise else 1)


KERAS_3_SUM = Keras3Sum(
    "KERAS_3_SUM",
    "Σmwℓ/C, C the length of the last axis; Σmwℓ of what is not elementwise, as over classes",
    'keras 3.15.1, keras/src/losses/loss.py, reduction="sum"',
    unit="total",
)
