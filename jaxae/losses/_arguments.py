"""What a loss accepts: arrays of one shape, real numbers, masks and weights over a prefix."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


class Arguments(NamedTuple):
    """A loss's arguments as arrays, in the order in which it takes them."""

    prediction: Array
    target: Array
    where: Array | None
    weights: Array | None

    @classmethod
    def of(
        cls,
        prediction: ArrayLike,
        target: ArrayLike,
        where: ArrayLike | None,
        weights: ArrayLike | None,
    ) -> "Arguments":
        """The arguments converted to arrays, not yet checked."""
        where, weights = (None if x is None else jnp.asarray(x) for x in (where, weights))
        return cls(jnp.asarray(prediction), jnp.asarray(target), where, weights)

    def check(self) -> None:
        """Raise unless shapes and dtypes are what a loss takes, for a sample or a batch.

        Raises:
            TypeError: a prediction that is not floating, a target or weights that are not real, a
                mask that is not boolean.
            ValueError: a prediction and a target of two shapes, a mask or weights of a shape that
                is not a prefix of theirs.
        """
        _check_pair(self.prediction, self.target)
        if self.where is not None:
            if self.where.dtype != jnp.bool_:
                dtype = self.where.dtype
                raise TypeError(f"where has dtype {dtype}, expected bool; write e.g. where=m > 0")
            _check_prefix("where", self.where.shape, self.target.shape)
        if self.weights is not None:
            _check_real("weights", self.weights)
            _check_prefix("weights", self.weights.shape, self.target.shape)

    def check_batch(self) -> None:
        """As `check`, and raise a ValueError unless the first axes count the samples."""
        self.check()
        for name, x in self._asdict().items():
            if x is not None and x.ndim == 0:
                raise ValueError(
                    f"{name} is a scalar, expected a batch whose first axis counts its samples; "
                    "write e.g. x[None] for one sample"
                )


def convert(prediction: Array, target: Array) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Both in float32, or in float64 if either is: the error is never computed in fewer bits."""
    wide = jnp.float64 in (prediction.dtype, target.dtype)
    dtype = jnp.float64 if wide else jnp.float32
    return prediction.astype(dtype), target.astype(dtype)


def _check_pair(prediction: Array, target: Array) -> None:
    if not jnp.issubdtype(prediction.dtype, jnp.floating):
        raise TypeError(
            f"prediction has dtype {prediction.dtype}, expected a floating dtype; "
            "convert it, e.g. prediction.astype(jnp.float32)"
        )
    _check_real("target", target)
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape} and target has shape {target.shape}, "
            "expected equal shapes; nothing is broadcast"
        )


def _check_real(name: str, x: Array) -> None:
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise TypeError(f"{name} has dtype {x.dtype}, expected real numbers")


def _check_prefix(name: str, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    if shape != target[: len(shape)]:
        prefixes = [str(target[:axes]) for axes in range(1, len(target) + 1)]
        raise ValueError(
            f"{name} has shape {shape}, expected a prefix of the target's shape: "
            f"{' or '.join(prefixes) or '()'}; nothing is broadcast from the right"
        )
