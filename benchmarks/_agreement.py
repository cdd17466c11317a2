"""Whether contenders give the same, before anything is timed."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def check_agreement(question: str, results: Mapping[str, Any], tolerance: float) -> None:
    """Raise unless all results are the first one, relative to the largest number in each array.

    Args:
        question: what they answer, for the message.
        results: what each contender gave, by name: an array or a tree of them.
        tolerance: how far a number may be off, as a share of the largest.
    """
    first, *others = (jax.tree.leaves(jax.tree.map(np.asarray, x)) for x in results.values())
    for name, leaves in zip(list(results)[1:], others, strict=True):
        for x, y in zip(first, leaves, strict=True):
            error = float(abs(x - y).max() / abs(y).max())
            if not error <= tolerance:
                raise RuntimeError(
                    f"{question}: {name} is off by {error:.2g} of the largest number, expected at "
                    f"most {tolerance:g}"
                )
