"""Where arrays live: on one device, or on a mesh of many, over which batches are spread."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "data"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The devices that train one model, and what is spread over them.

    A batch is spread over all of them, and XLA adds up what each computes of its part. Everything
    else is copied to each, unless it is said to be spread. The result is the same.

    Args:
        devices: the devices, of all processes; all that JAX finds by default.
        shard_parameters: whether each device holds a part of the parameters and of the optimizer's
            state, and fetches the others when it needs them (FSDP).
        shard_data: whether each device holds a part of the resident data, and fetches the others.

    Raises:
        ValueError: no devices.

    Example:
        >>> Layout(jax.devices()[:1]).mesh is None
        True
    """

    devices: Sequence[Any] | None = None
    shard_parameters: bool = False
    shard_data: bool = False

    def __post_init__(self):
        devices = tuple(jax.devices() if self.devices is None else self.devices)
        if not devices:
            raise ValueError("no devices, expected one or more, e.g. jax.devices()[:2]")
        object.__setattr__(self, "devices", devices)

    @property
    def count(self) -> int:
        """How many devices there are."""
        assert self.devices is not None
        return len(self.devices)

    @property
    def mesh(self) -> Mesh | None:
        """The devices in a row; None for a single one, which needs no mesh."""
        return None if self.count == 1 else Mesh(np.asarray(self.devices), (AXIS,))

    def place(self, tree: Any) -> Any:
        """A tree of arrays, copied to every device."""
        return self._put(tree, _copied)

    def place_data(self, tree: Any) -> Any:
        """Samples along the leading axis, copied to every device or spread over them."""
        return self._put(
            tree, self._spread_samples if self.shard_data else lambda x: PartitionSpec()
        )

    def place_state(self, tree: Any) -> Any:
        """Parameters and what belongs to them, copied to every device or spread over them."""
        return self._put(tree, self._spread if self.shard_parameters else _copied)

    def keep_state(self, tree: Any) -> Any:
        """Inside a compiled function: parameters stay where `place_state` put them."""
        mesh = self.mesh
        if mesh is None:
            return tree
        spread = self._spread if self.shard_parameters else _copied

        def keep(x: Any) -> Any:
            return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spread(x)))

        return jax.tree.map(keep, tree)

    def spread_batch(self, tree: Any) -> Any:
        """Inside a compiled function: the batch's samples, each device's part on it."""
        mesh = self.mesh
        if mesh is None:
            return tree

        def spread(x: Any) -> Any:
            spec = self._spread_samples(x) if x.ndim else PartitionSpec()
            return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec))

        return jax.tree.map(spread, tree)

    def _put(self, tree: Any, spec: Any) -> Any:
        mesh = self.mesh
        if mesh is None:
            assert self.devices is not None
            return jax.device_put(tree, self.devices[0])
        return jax.tree.map(lambda x: jax.device_put(x, NamedSharding(mesh, spec(x))), tree)

    def _spread(self, x: Any) -> PartitionSpec:
        """Along the longest axis that the devices divide; copied where they divide none."""
        axes = [i for i, size in enumerate(x.shape) if size and size % self.count == 0]
        if not axes:
            return PartitionSpec()
        axis = max(axes, key=lambda i: x.shape[i])
        return PartitionSpec(*[None] * axis, AXIS)

    def _spread_samples(self, x: Any) -> PartitionSpec:
        """Along the first axis that the devices divide, of two: models come before samples."""
        axes = [i for i, size in enumerate(x.shape[:2]) if size % self.count == 0]
        return PartitionSpec(*[None] * axes[0], AXIS) if axes else PartitionSpec()


def _copied(x: Any) -> PartitionSpec:
    return PartitionSpec()
