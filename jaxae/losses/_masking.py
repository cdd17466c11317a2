"""Masking: how what is masked stays out of a sum, whatever is there; see `Event` for the words.

Only "choice" sets the arrays to 0 for a value, too, which costs writing them anew; the others take
0 for the error alone, so that NaN checkers such as `jax_debug_nans` may see what is hidden.
"""

from collections.abc import Callable, Sequence

import jax
from jaxtyping import Array, Float

from jaxae.losses._coverage import Coverage
from jaxae.losses._error import Event


def masked_errors(
    errors: Callable[..., Array], arrays: Sequence[Array], coverage: Coverage, event: Event
) -> Float[Array, "..."]:
    """The errors as they enter the total: w·e where present, else 0.

    Args:
        errors: of arrays.
        arrays: of one sample, whatever they hold where absent.
        coverage: what is present.
        event: of the error, which says how what is absent stays out.
    """

    def with_slopes(coverage: Coverage, *arrays: Array) -> Array:
        return coverage.weigh(errors(*coverage.cover(arrays)), event.masking)

    # A mask that reaches inside an event changes the error, which has to see it.
    if event.masking == "choice" or event.zero_is_absent or coverage.present is None:
        return with_slopes(coverage, *arrays)

    @jax.custom_jvp
    def value(coverage: Coverage, *arrays: Array) -> Array:
        return coverage.weigh(errors(*arrays))

    @value.defjvp
    def _value_jvp(primals, tangents):
        return jax.jvp(with_slopes, primals, tangents)

    return value(coverage, *arrays)
