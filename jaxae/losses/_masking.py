"""How what is masked stays out of a sum, whatever is there: by its arrays being 0, and then?

"choice"  takes 0 for the error, whatever it is where every array is 0.
"slopes"  takes 0 for the error too, and sets arrays to 0 only where slopes are taken. Faster where
          an error is computed from several numbers, which the others have to write anew. The error
          must not close over arrays that are traced.
"product" multiplies the error, finite with finite slopes where every array is 0.
"inputs"  does no more: the error is 0 there.

Where an error ends in a logarithm, the last two are faster: XLA on CPU adds up logarithms, and
products of them, as it goes, but no choices of them.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import jax
from jaxtyping import Array, Bool, Float

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
    present = coverage.present
    if masking == "slopes" and present is not None:
        values = _masked_in_slopes(errors)(present, *arrays)
    else:
        values = errors(*coverage.cover(arrays))
    coverage = coverage.of_events(values.ndim)
    if masking in ("choice", "slopes"):
        return coverage.weigh(values)
    if coverage.weights is not None:
        return coverage.kept_weights(values.ndim) * values
    return coverage.multiply(values) if masking == "product" else values


def _masked_in_slopes(errors: Callable[..., Array]) -> Callable[..., Array]:
    """The errors, and slopes as if the arrays were 0 where what comes first is False."""

    def kept(present: Bool[Array, "..."], *arrays: Array) -> Array:
        return errors(*Coverage(present, None).cover(arrays))

    @jax.custom_jvp
    def value(present: Bool[Array, "..."], *arrays: Array) -> Array:
        return errors(*arrays)

    @value.defjvp
    def _value_jvp(primals, tangents):
        return jax.jvp(kept, primals, tangents)

    return value
