"""What a loss accepts: real numbers of shapes that agree, masks and weights over a prefix."""

import reprlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from jaxae.losses._error import Event

Shape = tuple[int, ...]


class Arguments(NamedTuple):
    """A loss's arguments as arrays: what its error takes, in that order, a mask and weights."""

    arrays: tuple[Array, ...]
    where: Array | None
    weights: Array | None

    @classmethod
    def of(
        cls, arrays: Sequence[ArrayLike], where: ArrayLike | None, weights: ArrayLike | None
    ) -> "Arguments":
        """The arguments converted to arrays, not yet checked."""
        coverage = [None if x is None else _converted(x) for x in (where, weights)]
        return cls(tuple(_converted(x) for x in arrays), *coverage)

    def check(self, names: Sequence[str], event: Event, *, batch_axes: int = 0) -> None:
        """Raise unless shapes and dtypes are what an error takes.

        Args:
            names: of the arrays.
            event: what one error is computed from.
            batch_axes: how many leading axes count samples: 0 for one sample, 1 for a batch.

        Raises:
            TypeError: another number of arrays, something else than an array of numbers, a first
                one that is not floating, others that are not real (not integer, where they name
                classes), a mask that is not boolean.
            ValueError: shapes that do not agree, a mask or weights of a shape that is not a prefix,
                no axis that counts the samples.
        """
        if len(self.arrays) != len(names):
            raise TypeError(
                f"got {len(self.arrays)} arrays, expected {len(names)}: {', '.join(names)}; masks "
                "and weights are keywords, where= and weights="
            )
        for name, x in zip(names, self.arrays, strict=True):
            _check_array(name, x)
        for name, x in (("where", self.where), ("weights", self.weights)):
            if x is not None:
                _check_array(name, x)
        if batch_axes:
            self._check_samples(names)
        _check_dtypes(names, self.arrays, event)
        _check_shapes(names, self.arrays, event, batch_axes)
        self._check_coverage(event, batch_axes)

    def _check_coverage(self, event: Event, batch_axes: int) -> None:
        elements = event.elements(self.arrays, batch_axes)
        if self.where is not None:
            if self.where.dtype != jnp.bool_:
                dtype = self.where.dtype
                raise TypeError(f"where has dtype {dtype}, expected bool; write e.g. where=m > 0")
            whole = self.arrays[-1].shape if event.zero_is_absent else elements
            _check_prefix("where", self.where.shape, whole, event)
        if self.weights is not None:
            _check_real("weights", self.weights)
            _check_prefix("weights", self.weights.shape, elements, event)

    def _check_samples(self, names: Sequence[str]) -> None:
        for name, x in zip(names, self.arrays, strict=True):
            if x.ndim == 0:
                raise ValueError(
                    f"{name} is a scalar, expected a batch whose first axis counts its samples; "
                    "write e.g. x[None] for one sample"
                )
        for name, x in (("where", self.where), ("weights", self.weights)):
            if x is not None and x.ndim == 0:
                raise ValueError(
                    f"{name} is a scalar, expected one for each sample, shape (N,); write e.g. "
                    f"jnp.full(N, {name}), or multiply the loss"
                )

    def convert(self, event: Event) -> tuple[Array, ...]:
        """The arrays in float32, or in float64 if any is: no error is computed in fewer bits.

        Classes stay integers.
        """
        wide = any(x.dtype == jnp.float64 for x in self.arrays)
        dtype = jnp.float64 if wide else jnp.float32
        first, *others = self.arrays
        return first.astype(dtype), *(x if event.classes else x.astype(dtype) for x in others)


def _converted(x: Any) -> Any:
    """`x` as an array; as it is where that cannot be, for `check` to refuse it by its name."""
    if isinstance(x, jax.Array | list | tuple):
        return x
    try:
        return jnp.asarray(x)
    except (TypeError, ValueError, OverflowError):
        return x


def _check_array(name: str, x: Any) -> None:
    if not isinstance(x, jax.Array):
        what = f"has dtype {x.dtype}" if hasattr(x, "dtype") else f"is {reprlib.repr(x)}"
        raise TypeError(
            f"{name} {what}, expected an array of numbers; convert it, e.g. jnp.asarray({name})"
        )
    if jnp.issubdtype(x.dtype, jax.dtypes.extended):
        raise TypeError(f"{name} has dtype {x.dtype}, a random key, expected an array of numbers")


def _check_dtypes(names: Sequence[str], arrays: Sequence[Array], event: Event) -> None:
    first, *others = arrays
    if not jnp.issubdtype(first.dtype, jnp.floating):
        raise TypeError(
            f"{names[0]} has dtype {first.dtype}, expected a floating dtype; "
            f"convert it, e.g. {names[0]}.astype(jnp.float32)"
        )
    for name, x in zip(names[1:], others, strict=True):
        _check_real(name, x)
        if event.classes and not jnp.issubdtype(x.dtype, jnp.integer):
            raise TypeError(
                f"{name} has dtype {x.dtype}, expected integers that name classes; for "
                "probabilities of classes use the error that takes them"
            )


def _check_shapes(
    names: Sequence[str], arrays: Sequence[Array], event: Event, batch_axes: int
) -> None:
    first, *others = arrays
    if event.prediction is not None and first.ndim < event.prediction + batch_axes:
        raise ValueError(
            f"{names[0]} has shape {first.shape}, expected {event.prediction + batch_axes} axes or "
            f"more: {'samples first, and ' if batch_axes else ''}the numbers of one error last"
        )
    if event.prediction and 0 in first.shape[-event.prediction :]:
        raise ValueError(f"{names[0]} has shape {first.shape}, expected a last axis that is not 0")
    if event.parameters is not None and first.shape[-1] != event.parameters:
        raise ValueError(
            f"{names[0]} has shape {first.shape}, expected {event.parameters} on the last axis: "
            "the parameters of the distribution of one number"
        )
    for name, x in zip(names[1:], others, strict=True):
        if event.prediction == event.target:
            if x.shape != first.shape:
                raise ValueError(
                    f"{names[0]} has shape {first.shape} and {name} has shape {x.shape}, "
                    "expected equal shapes; nothing is broadcast"
                )
        elif x.shape != first.shape[:-1]:
            raise ValueError(
                f"{names[0]} has shape {first.shape} and {name} has shape {x.shape}, expected "
                f"{names[0]} with one more axis, the last; nothing is broadcast"
            )


def _check_real(name: str, x: Array) -> None:
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise TypeError(f"{name} has dtype {x.dtype}, expected real numbers")


def _check_prefix(name: str, shape: Shape, whole: Shape, event: Event) -> None:
    if shape != whole[: len(shape)]:
        prefixes = [str(whole[:axes]) for axes in range(1, len(whole) + 1)] or ["()"]
        of_samples = " (one error is computed from a whole sample)"
        raise ValueError(
            f"{name} has shape {shape}, expected {' or '.join(prefixes)}, a prefix of the shape of "
            f"the errors{of_samples if event.target is None else ''}; nothing is broadcast from "
            "the right"
        )
