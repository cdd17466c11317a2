"""What a loss returns before it divides: statistics that add."""

import dataclasses
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._compensation import add_compensated

Stat = TypeVar("Stat", bound="Statistic")
Adds = TypeVar("Adds", bound="Sums")


class Statistic:
    """What is known of some samples, and merges with what is known of others."""

    def __add__(self: Stat, other: Any) -> Stat:
        """The statistic of both parts together."""
        if type(other) is not type(self):
            return NotImplemented
        return jax.tree.map(jnp.add, self, other)

    def __radd__(self: Stat, other: Any) -> Stat:
        """The statistic itself, where 0 is added to it: what `sum` begins with."""
        if not isinstance(other, int) or other != 0:
            return NotImplemented
        return self

    def scale(self: Stat, weight: Float[Array, ""]) -> Stat:
        """The statistic with its sample counted `weight` times: 0 is absent, 2 is twice."""
        return jax.tree.map(lambda x: jnp.where(weight != 0, weight * x, 0), self)

    def merge(self: Stat) -> Stat:
        """The statistic of all samples, from theirs stacked along a leading axis."""
        return jax.tree.map(lambda x: jnp.sum(x, 0), self)

    @property
    def value(self) -> Any:
        """What the statistic comes to, once everything is merged."""
        raise NotImplementedError(f"{type(self).__name__} defines no value")


@dataclasses.dataclass(frozen=True)
class Sums(Statistic):
    """Sums over samples, the fields of a subclass, which add without losing digits.

    However many parts are added one by one, by `+` or in a `jax.lax.scan`, each sum stays within
    a rounding of the exact one. A subclass is a frozen dataclass, registered as a pytree.

    Args:
        compensation: what rounding has taken from each sum so far, by its name; nothing unless
            given. The next addition brings it back. Where the fields are not sums but what JAX is
            told of them (axes, shardings), it is told the same of this; of axes other than 0 or
            None, give it.

    Example:
        >>> merged, plain = Total(jnp.float32(0.0)), jnp.float32(0.0)
        >>> for _ in range(1000):
        ...     merged, plain = merged + Total(jnp.float32(0.1)), plain + jnp.float32(0.1)
        >>> float(merged.value), float(plain)
        (100.0, 99.99904...)
    """

    compensation: Any = dataclasses.field(default=None, kw_only=True, compare=False, repr=False)

    def __post_init__(self):
        if self.compensation is None:
            object.__setattr__(self, "compensation", jax.tree.map(_nothing, self.sums))

    @property
    def sums(self) -> dict[str, Any]:
        """The fields that are sums, by name."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["compensation"]
        return fields

    def __add__(self: Adds, other: Any) -> Adds:
        """The sums over both parts together."""
        if type(other) is not type(self):
            return NotImplemented
        sums, compensation = add_compensated(
            self.sums, other.sums, self.compensation, other.compensation
        )
        return dataclasses.replace(self, **sums, compensation=compensation)


def _nothing(x: Any) -> Any:
    """What rounding has taken from a number: 0; of what is none, such as a sharding, the same."""
    if isinstance(x, int):
        return 0  # the number or the axis, and an axis must not be an array
    # Array as well: a tracer is one, but not to `isinstance` with a Union.
    return jnp.zeros_like(x) if isinstance(x, (Array, ArrayLike)) else x


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mean(Sums):
    """A mean that is not divided yet: Σ total / Σ weight.

    Means of parts of the data merge by adding both fields, so the value does not depend on how the
    data are cut, nor into how many parts. The weight depends on masks and weights only, never on
    parameters, so the gradient is Σ ∇total / Σ weight and does not depend on the cut either.

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
class Total(Sums):
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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rows(Statistic):
    """The samples themselves, for what does not add: functions of pairs of samples.

    They merge by stacking, so their memory grows with the data, and their function needs them all.

    Args:
        rows: what is kept of one sample, an array or a tree of them; merged, along a leading axis.
        weight: how often the sample counts, a scalar; merged, of shape (N,).

    Example:
        >>> first = Rows(jnp.array([[1.0], [2.0]]), jnp.ones(2))
        >>> second = Rows(jnp.array([[3.0]]), jnp.ones(1))
        >>> (first + second).rows.ravel().tolist()
        [1.0, 2.0, 3.0]
    """

    rows: Any
    weight: Any

    def __add__(self, other: Any) -> "Rows":
        """The rows of both parts, one after the other."""
        if type(other) is not type(self):
            return NotImplemented
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), self, other)

    def scale(self, weight: Float[Array, ""]) -> "Rows":
        """The row counted `weight` times; one of weight 0 is all zeros."""
        present = weight != 0
        rows = jax.tree.map(lambda x: jnp.where(present, x, 0), self.rows)
        return Rows(rows, jnp.where(present, weight * self.weight, 0))

    def merge(self) -> "Rows":
        """The rows as they are: stacked along a leading axis already."""
        return self

    @property
    def value(self) -> tuple[Any, Float[Array, " N"]]:
        """The rows and how often each counts."""
        return self.rows, self.weight
