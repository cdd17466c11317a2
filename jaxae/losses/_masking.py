"""Masking: how what is masked stays out of a sum, whatever is there.

"choice"  sets the arrays to 0, and takes 0 for the error, whatever it is there.

The others take 0 for the error only, where no slope is taken; faster, because no array is written
anew. The error must not close over arrays that are traced. Where slopes are taken,

"slopes"  sets the arrays to 0, and takes 0 for the error;
"product" sets the arrays to 0, and multiplies the error, which is finite with finite slopes there;
"inputs"  sets the arrays to 0, where the error is 0.

Where an error ends in a logarithm, the last two are faster: XLA on CPU adds up logarithms, and
products of them, as it goes, but no choices of them.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
from jaxtyping import Array, Float

from jaxae.losses._coverage import Coverage

Masking = Literal["choice", "slopes", "product", "inputs"]


def masked_errors(
    errors: Callable[..., Array], arrays: Sequence[Array], coverage: Coverage, masking: Masking
) -> Float[Array, "..."]:
    """The errors as they enter the total: w·e where present, else 0.

    Args:
        errors: of arrays.
        arrays: of one sample, whatever they hold where absent.
        coverage: what is present.
        masking: how what is absent stays out.
    """
    if masking == "choice" or coverage.present is None:
        return _weighed(coverage, errors(*coverage.cover(arrays)))

    @jax.custom_jvp
    def value(coverage: Coverage, *arrays: Array) -> Array:
        return _weighed(coverage, errors(*arrays))

    def with_slopes(coverage: Coverage, *arrays: Array) -> Array:
        return _weighed(coverage, errors(*coverage.cover(arrays)), masking)

    @value.defjvp
    def _value_jvp(primals, tangents):
        return jax.jvp(with_slopes, primals, tangents)

    return value(coverage, *arrays)


def _weighed(coverage: Coverage, errors: Array, masking: Masking = "choice") -> Array:
    coverage = coverage.of_events(errors.ndim)
    if masking in ("choice", "slopes"):
        return coverage.weigh(errors)
    if coverage.weights is not None:
        return coverage.kept_weights(errors.ndim) * errors
    return coverage.multiply(errors) if masking == "product" else errors
