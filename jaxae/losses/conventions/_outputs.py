"""The loss of a model with several outputs, each with its own loss: their weighted sum."""

import dataclasses
from collections.abc import Mapping

from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._base import BaseLoss

Arrays = Mapping[str, ArrayLike]


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class SeveralOutputs:
    """Σ_k loss_weight_k · loss_k, over outputs k by name: what Keras minimises.

    Each output has its own mask, weights and denominator. Frozen, comparable and hashable, as a
    loss is.

    Args:
        losses: each output's loss.
        weights: what an output's loss is multiplied by; 1 where not named.

    Raises:
        ValueError: no losses, or a weight of an output that has no loss.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import mse, sse
        >>> loss = SeveralOutputs({"image": mse, "label": sse}, weights={"label": 0.1})
        >>> predictions = {"image": jnp.ones((2, 3)), "label": jnp.ones((2, 1))}
        >>> targets = {"image": jnp.zeros((2, 3)), "label": jnp.zeros((2, 1))}
        >>> round(float(loss(predictions, targets)), 6)
        1.2
        >>> {name: float(value) for name, value in loss.each(predictions, targets).items()}
        {'image': 1.0, 'label': 2.0}

    References:
        keras 3.15.1, keras/src/trainers/compile_utils.py, CompileLoss
    """

    outputs: tuple[tuple[str, BaseLoss, float], ...]

    def __init__(self, losses: Mapping[str, BaseLoss], weights: Mapping[str, float] | None = None):
        if not losses:
            raise ValueError("got no losses, expected one for each output")
        weights = weights or {}
        _check_names("weights", weights, losses, partly=True)
        outputs = tuple((name, losses[name], weights.get(name, 1.0)) for name in sorted(losses))
        object.__setattr__(self, "outputs", outputs)

    def __repr__(self) -> str:
        terms = (f"{weight:g}·{name}: {loss}" for name, loss, weight in self.outputs)
        return f"SeveralOutputs({', '.join(terms)})"

    def __call__(
        self,
        predictions: Arrays,
        targets: Arrays,
        *,
        where: Arrays | None = None,
        weights: Arrays | None = None,
    ) -> Float[Array, ""]:
        """The weighted sum of the outputs' losses, a scalar.

        Args:
            predictions: each output's predictions, of shape (N, ...), as its loss takes them.
            targets: each output's targets.
            where: masks of the outputs that have one.
            weights: weights of the outputs that have some.

        Raises:
            ValueError: names that differ from the losses'; and what each loss raises.
            TypeError: what each loss raises.
        """
        values = self.each(predictions, targets, where=where, weights=weights)
        first, *others = (weight * values[name] for name, _, weight in self.outputs)
        return sum(others, start=first)

    def each(
        self,
        predictions: Arrays,
        targets: Arrays,
        *,
        where: Arrays | None = None,
        weights: Arrays | None = None,
    ) -> dict[str, Float[Array, ""]]:
        """Each output's own loss by name, not yet multiplied by its weight."""
        where, weights = where or {}, weights or {}
        names = {name: loss for name, loss, _ in self.outputs}
        _check_names("predictions", predictions, names)
        _check_names("targets", targets, names)
        _check_names("where", where, names, partly=True)
        _check_names("weights", weights, names, partly=True)
        return {
            name: loss(
                predictions[name], targets[name], where=where.get(name), weights=weights.get(name)
            )
            for name, loss in names.items()
        }


def _check_names(
    what: str, given: Mapping[str, object], losses: Mapping[str, object], *, partly: bool = False
) -> None:
    unknown = sorted(given.keys() - losses.keys())
    missing = [] if partly else sorted(losses.keys() - given.keys())
    if unknown or missing:
        wrong = [f"{', '.join(unknown)} has no loss"] * bool(unknown)
        wrong += [f"{', '.join(missing)} is missing"] * bool(missing)
        raise ValueError(
            f"{what} names {', '.join(sorted(given)) or 'nothing'}, expected the outputs "
            f"{', '.join(sorted(losses))}: {'; '.join(wrong)}"
        )
