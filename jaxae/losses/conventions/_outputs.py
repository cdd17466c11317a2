"""The loss of a model with several outputs, each with its own loss: their weighted sum."""

import dataclasses
import reprlib
from collections.abc import Mapping
from typing import Any

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._base import BaseLoss
from jaxae.losses._hyperparameters import check_not_negative, python_number
from jaxae.losses._mean import Statistic

Arrays = Mapping[str, ArrayLike]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OutputStatistics(Statistic):
    """A statistic for each output, which add as they do by themselves.

    Args:
        by_name: each output's statistic.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import Mean
        >>> half = OutputStatistics({"image": Mean(jnp.float32(3.0), jnp.float32(2.0))})
        >>> float((half + half).value["image"])
        1.5
    """

    by_name: dict[str, Any]

    def __add__(self, other: Any) -> "OutputStatistics":
        """The statistics of both parts together."""
        if type(other) is not type(self):
            return NotImplemented
        return OutputStatistics({n: x + other.by_name[n] for n, x in self.by_name.items()})

    def scale(self, weight: Float[Array, ""]) -> "OutputStatistics":
        """The statistics with their sample counted `weight` times."""
        return OutputStatistics({n: x.scale(weight) for n, x in self.by_name.items()})

    def merge(self) -> "OutputStatistics":
        """The statistics of all samples, from theirs stacked along a leading axis."""
        return OutputStatistics({n: x.merge() for n, x in self.by_name.items()})

    @property
    def value(self) -> dict[str, Any]:
        """What each output's statistic comes to."""
        return {name: statistic.value for name, statistic in self.by_name.items()}


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class SeveralOutputs:
    """Σ_k loss_weight_k · loss_k, over outputs k by name: what Keras minimises.

    Each output has its own mask, weights and denominator. As a loss is, it is frozen, comparable
    and hashable, and its statistics of parts of the data add.

    Args:
        losses: each output's loss.
        weights: what an output's loss is multiplied by; 1 where not named.

    Raises:
        TypeError: something else than a mapping to losses, or to their weights.
        ValueError: no losses, or a weight that is negative, infinite, or of an output that has no
            loss.

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
        >>> half = loss.merged(predictions, targets)
        >>> round(float(loss.finish((half + half).value)), 6)
        1.4

    References:
        keras 3.15.1, keras/src/trainers/compile_utils.py, CompileLoss
    """

    outputs: tuple[tuple[str, BaseLoss, float], ...]

    def __init__(self, losses: Mapping[str, BaseLoss], weights: Mapping[str, float] | None = None):
        _check_losses(losses)
        weights = {} if weights is None else weights
        _check_names("weights", weights, losses, partly=True)
        for name, weight in weights.items():
            check_not_negative(f"weights[{name!r}]", weight)
        outputs = ((name, losses[name], weights.get(name, 1.0)) for name in sorted(losses))
        object.__setattr__(
            self, "outputs", tuple((name, loss, python_number(w)) for name, loss, w in outputs)
        )

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
            TypeError: what is no mapping; and what each loss raises.
        """
        return self._weighted(self.each(predictions, targets, where=where, weights=weights))

    def each(
        self,
        predictions: Arrays,
        targets: Arrays,
        *,
        where: Arrays | None = None,
        weights: Arrays | None = None,
    ) -> dict[str, Float[Array, ""]]:
        """Each output's own loss by name, not yet multiplied by its weight."""
        return self._of_each("__call__", predictions, targets, where, weights)

    def mean(
        self,
        prediction: Arrays,
        target: Arrays,
        *,
        where: Arrays | None = None,
        weights: Arrays | None = None,
    ) -> OutputStatistics:
        """The statistics of ONE sample, not divided yet.

        Takes the same arguments, without their sample axis, and raises the same errors.
        """
        return OutputStatistics(self._of_each("mean", prediction, target, where, weights))

    def finish(self, value: Mapping[str, Any]) -> Float[Array, ""]:
        """The weighted sum of the outputs' losses, from the value of the merged statistics."""
        return self._weighted({name: loss.finish(value[name]) for name, loss, _ in self.outputs})

    def per_sample(
        self,
        predictions: Arrays,
        targets: Arrays,
        *,
        where: Arrays | None = None,
        weights: Arrays | None = None,
    ) -> Float[Array, " N"]:
        """Each sample's own loss, shape (N,): the loss of a batch of that sample alone."""
        return self._weighted(self._of_each("per_sample", predictions, targets, where, weights))

    def merged(
        self,
        predictions: Arrays,
        targets: Arrays,
        *,
        where: Arrays | None = None,
        weights: Arrays | None = None,
    ) -> OutputStatistics:
        """The batch's statistics before the division; those of parts of the data add."""
        return OutputStatistics(self._of_each("merged", predictions, targets, where, weights))

    def _of_each(
        self,
        method: str,
        predictions: Arrays,
        targets: Arrays,
        where: Arrays | None,
        weights: Arrays | None,
    ) -> dict[str, Any]:
        """What a method of each output's loss returns, by name."""
        where, weights = ({} if x is None else x for x in (where, weights))
        names = {name: loss for name, loss, _ in self.outputs}
        _check_names("predictions", predictions, names)
        _check_names("targets", targets, names)
        _check_names("where", where, names, partly=True)
        _check_names("weights", weights, names, partly=True)
        return {
            name: getattr(loss, method)(
                predictions[name], targets[name], where=where.get(name), weights=weights.get(name)
            )
            for name, loss in names.items()
        }

    def _weighted(self, values: Mapping[str, Array]) -> Array:
        first, *others = (weight * values[name] for name, _, weight in self.outputs)
        return sum(others, start=first)


def _check_losses(losses: Any) -> None:
    if not isinstance(losses, Mapping):
        raise TypeError(f"got {losses!r}, expected a mapping from outputs' names to their losses")
    if not losses:
        raise ValueError("got no losses, expected one for each output")
    for name, loss in losses.items():
        if not isinstance(loss, BaseLoss):
            raise TypeError(
                f"the loss of {name!r} is {loss!r}, expected a loss; of a plain error make one: "
                "Loss(error)"
            )


def _check_names(
    what: str, given: Any, losses: Mapping[str, object], *, partly: bool = False
) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{what} is {reprlib.repr(given)}, expected a mapping by the outputs' names, of which "
            f"there are {', '.join(sorted(losses))}"
        )
    unknown = sorted(given.keys() - losses.keys())
    missing = [] if partly else sorted(losses.keys() - given.keys())
    if unknown or missing:
        wrong = [f"{', '.join(unknown)} has no loss"] * bool(unknown)
        wrong += [f"{', '.join(missing)} is missing"] * bool(missing)
        raise ValueError(
            f"{what} names {', '.join(sorted(given)) or 'nothing'}, expected the outputs "
            f"{', '.join(sorted(losses))}: {'; '.join(wrong)}"
        )
