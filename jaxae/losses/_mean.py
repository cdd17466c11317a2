"""What a loss returns before it divides: statistics that add."""

import dataclasses
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Stat = TypeVar("Stat", bound="Statistic")


class Statistic:
    """What is known of some samples, and merges with what is known of others."""

    def __add__(self: Stat, other: Stat) -> Stat:
        """The statistic of both parts together."""
        return jax.tree.map(jnp.add, self, other)

    def scale(self: Stat, weight: Float[Array, ""]) -> Stat:
        """The statistic with its sample counted `weight` times: 0 is absent, 2 is twice."""
        return jax.tree.map(lambda x: jnp.where(weight != 0, weight * x, 0), self)

    def merge(self: Stat) -> Stat:
        """The statistic of all samples, from theirs stacked along a leading axis."""
        return jax.tree.map(lambda x: x.sum(0), self)

    @property
    def value(self) -> Float[Array, "..."]:
        """What the statistic comes to, once everything is merged."""
        raise NotImplementedError(f"{type(self).__name__} defines no value")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mean(Statistic):
    """A mean that is not divided yet: Σ total / Σ weight.

    Means of parts of the data merge by adding both fields, so the value does not depend on how the
    data are cut. The weight depends on masks and weights only, never on parameters, so the gradient
    is Σ ∇total / Σ weight and does not depend on the cut either.

    Args:
        total: Σ w·m·e, the weighted sum of the errors, an array of any shape.
        weight: what the total is divided by, of the same shape.

    Example:
        >>> first = Mean(jnp.float32(6.0), jnp.float32(3.0))
        >>> second = Mean(jnp.float32(4.0), jnp.float32(1.0))
        >>> float((first + second).value)
        2.5
    """

    total: Any
    weight: Any

    @property
    def value(self) -> Float[Array, "..."]:
        """The mean, total / weight; 0 with zero gradient where the weight is 0."""
        present = self.weight != 0
        return jnp.where(present, self.total / jnp.where(present, self.weight, 1), 0)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Total(Statistic):
    """A sum that is divided by nothing, and adds as a Mean does.

    Args:
        total: Σ w·m·e, the weighted sum of the errors, an array of any shape.

    Example:
        >>> float((Total(jnp.float32(6.0)) + Total(jnp.float32(4.0))).value)
        10.0
    """

    total: Any

    @property
    def value(self) -> Float[Array, "..."]:
        """The total itself."""
        return self.total
