"""Where arrays live: on one device, or on a mesh of many, over which batches are spread."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "data"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The devices that train one model, and what is spread over them.

    A batch is spread over all of them, and XLA adds up what each computes of its part. Everything
    else is copied to each, unless it is said to be spread. The result is the same, but for the
    order in which numbers are added: in float32 a network with ReLUs drifts apart after some
    hundred updates, as it does between any two machines.

    Args:
        devices: the devices, of all processes; all that JAX finds by default.
        shard_parameters: whether each device holds a part of the parameters and of the optimizer's
            state, and fetches the others when it needs them (FSDP).
        shard_data: whether each device holds a part of the resident data, and fetches the others.

    Raises:
        TypeError: something that is no device.
        ValueError: no devices, one of them twice, devices of two kinds, or none of one of the
            processes.

    Example:
        >>> Layout(jax.devices()[:1]).mesh is None
        True
    """

    devices: Sequence[Any] | None = None
    shard_parameters: bool = False
    shard_data: bool = False

    def __post_init__(self):
        devices = tuple(jax.devices() if self.devices is None else self.devices)
        _check(devices)
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
        """Samples along the leading axis, copied to every device or spread over them.

        Where they are spread, zeros follow them, so that every device holds as many rows.
        """
        if not self.shard_data or self.mesh is None:
            return self.place(tree)
        return self._put(jax.tree.map(self._padded, tree), lambda x: PartitionSpec(AXIS))

    def place_state(self, tree: Any) -> Any:
        """Parameters and what belongs to them, copied to every device or spread over them."""
        return self._put(tree, self._of_state)

    def copied(self, tree: Any) -> Any:
        """Inside a compiled function: arrays copied to every device, as by `place`."""
        return self._constrained(tree, _copied)

    def keep_state(self, tree: Any) -> Any:
        """Inside a compiled function: parameters stay where `place_state` put them."""
        return self._constrained(tree, self._of_state)

    def spread_batch(self, tree: Any) -> Any:
        """Inside a compiled function: the batch's samples, each device's part on it."""
        return self._constrained(tree, self._of_batch)

    def local(self, tree: Any) -> Any:
        """Arrays that this process can use by itself; all processes must ask for them.

        They are on one device, but where they are spread over devices of this process alone they
        stay, since one may not hold them.
        """
        mesh, leaves = self.mesh, jax.tree.leaves(tree)
        if mesh is None:
            return tree
        if not all(x.is_fully_replicated for x in leaves):
            if all(x.is_fully_addressable for x in leaves):
                return tree
            copied = NamedSharding(mesh, PartitionSpec())
            tree = jax.jit(_same, out_shardings=copied)(tree)
        return jax.tree.map(lambda x: x.addressable_data(0), tree)

    def _put(self, tree: Any, spec: Callable[[Any], PartitionSpec]) -> Any:
        mesh = self.mesh
        if mesh is None:
            assert self.devices is not None
            return jax.device_put(tree, self.devices[0])
        return jax.tree.map(lambda x: _placed(x, NamedSharding(mesh, spec(x))), tree)

    def _constrained(self, tree: Any, spec: Callable[[Any], PartitionSpec]) -> Any:
        mesh = self.mesh
        if mesh is None:
            return tree

        def constrain(x: Any) -> Any:
            return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec(x)))

        return jax.tree.map(constrain, tree)

    def _of_state(self, x: Any) -> PartitionSpec:
        """Along the longest axis that the devices divide; copied where they divide none."""
        axes = [i for i, size in enumerate(x.shape) if size and size % self.count == 0]
        if not self.shard_parameters or not axes or not jnp.issubdtype(x.dtype, jnp.floating):
            return PartitionSpec()
        axis = max(axes, key=lambda i: x.shape[i])
        return PartitionSpec(*[None] * axis, AXIS)

    def _of_batch(self, x: Any) -> PartitionSpec:
        """Along the first axis that the devices divide, of two: models come before samples."""
        axes = [i for i, size in enumerate(x.shape[:2]) if size % self.count == 0]
        return PartitionSpec(*[None] * axes[0], AXIS) if axes else PartitionSpec()

    def _padded(self, x: Any) -> Any:
        """Rows, followed by as many of zeros as make a multiple of the devices; on the host."""
        missing = -len(x) % self.count
        if not missing:
            return x
        return np.pad(np.asarray(x), [(0, missing)] + [(0, 0)] * (x.ndim - 1))


def _check(devices: tuple[Any, ...]) -> None:
    if not devices:
        raise ValueError("no devices, expected one or more, e.g. jax.devices()[:2]")
    for x in devices:
        if not isinstance(x, jax.Device):
            raise TypeError(f"{x!r} is no device, expected some of jax.devices()")
    if len(set(devices)) < len(devices):
        raise ValueError(f"devices are {list(devices)}, expected each of them once")
    kinds = {x.platform for x in devices}
    if len(kinds) > 1:
        raise ValueError(f"devices are of several kinds, {sorted(kinds)}, expected one of them")
    missing = sorted({*range(jax.process_count())} - {x.process_index for x in devices})
    if missing:  # which every process must see, lest some wait for others
        raise ValueError(
            f"none of the devices {list(devices)} belongs to process "
            f"{', '.join(map(str, missing))}; expected some of each process, e.g. jax.devices()"
        )


def _placed(x: Any, sharding: NamedSharding) -> Any:
    """An array, or every process's copy of it, where it is to be."""
    everywhere = isinstance(x, jax.Array) and not x.is_fully_addressable
    if sharding.is_fully_addressable or everywhere:
        return jax.device_put(x, sharding)
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _placed(jax.random.key_data(x), NamedSharding(sharding.mesh, PartitionSpec()))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    # Not by device_put, which would have all processes compare what they hold.
    held = np.asarray(x)
    return jax.make_array_from_callback(held.shape, sharding, lambda index: held[index])


def _copied(x: Any) -> PartitionSpec:
    return PartitionSpec()


def _same(x: Any) -> Any:
    return x
