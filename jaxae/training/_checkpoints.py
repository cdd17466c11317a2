"""Checkpoints of a run: written while it trains, whole or not at all, and read to go on from."""

import dataclasses
import re
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxae.training._distributed import agreed

Facts = dict[str, Any]
DAMAGED = "damaged"


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where a run's checkpoints are, how often one is written, and which are kept.

    Args:
        path: the folder, new or of the run that is resumed.
        every_epochs: how many epochs lie between two of them; None for none at the end of epochs.
        every_seconds: how many seconds, also inside an epoch; None for none inside epochs.
        keep: how many of the latest are kept.
        best: the metric of the best one, which is kept as well: the smallest. None for no such.

    Raises:
        ValueError: a number below 1, or nothing that says when.

    Example:
        >>> Checkpoints("run/checkpoints", every_seconds=600.0).keep
        2
    """

    path: str | Path
    every_epochs: int | None = 1
    every_seconds: float | None = None
    keep: int = 2
    best: str | None = "test_loss"

    def __post_init__(self):
        if self.every_epochs is None and self.every_seconds is None:
            raise ValueError("expected every_epochs or every_seconds, or both")
        for name in ("every_epochs", "every_seconds", "keep"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}, expected a positive number")


class Saver:
    """Writes checkpoints in the background, and reads the newest that is whole.

    Args:
        checkpoints: where, how often, which.
        identity: what must be the same where training goes on, by name: data, objective, ….
    """

    def __init__(self, checkpoints: Checkpoints, identity: Mapping[str, str]):
        # Orbax takes 0.4 s to import and more to start: only where checkpoints are asked for.
        from orbax.checkpoint import v1 as ocp

        self.checkpoints, self.identity = checkpoints, dict(identity)
        self.path = Path(checkpoints.path).absolute()
        self._saved, self._pending, self._failed = time.monotonic(), None, False
        self._last: int | None = None
        policies = ocp.training.preservation_policies
        preserved: list[Any] = [policies.LatestN(checkpoints.keep)]
        if checkpoints.best is not None:
            preserved.append(
                policies.BestN(
                    get_metric_fn=lambda metrics: metrics["best"],
                    reverse=True,
                    n=1,
                    keep_checkpoints_without_metrics=False,
                )
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            kept: Any = policies.AnyPreservationPolicy(preserved)
            self._checkpointer = ocp.training.Checkpointer(
                str(self.path),
                preservation_policy=kept,
                cleanup_tmp_directories=True,
            )
        except OSError as error:
            raise OSError(f"no checkpoints can be written to {self.path}: {error}") from error

    @property
    def numbers(self) -> list[int]:
        """The checkpoints that are there, from the oldest to the newest."""
        return [x.step for x in self._checkpointer.checkpoints]

    def due(self, epoch: int | None = None) -> bool:
        """Whether it is time for the next one; `epoch` is the one that is done, if one is."""
        every = self.checkpoints.every_epochs
        if epoch is not None and every is not None and epoch % every == 0:
            return True
        seconds = self.checkpoints.every_seconds
        return seconds is not None and agreed(time.monotonic() - self._saved) >= seconds

    def save(self, number: int, arrays: Any, facts: Facts, best: float | None = None) -> None:
        """Begin to write a checkpoint; a fault stops the saving, not the training.

        Args:
            number: of batches so far.
            arrays: a tree of them.
            facts: what else there is to know, ready for JSON.
            best: the value of the metric that the best checkpoint is chosen by.

        Warns:
            UserWarning: no checkpoint can be written, e.g. because the disk is full.
        """
        # The last one may not be on the disk yet, or be seen there by some processes alone.
        if self._failed or number == self._last or number in self.numbers:
            return
        self._saved, self._last = time.monotonic(), number
        held = _flat(arrays)
        # Numbers are read back as they were written, or not at all.
        held["checksum"] = _checksum(held)
        self._attempt(lambda: self._begin(number, held, facts, best))

    def finish(self) -> None:
        """Wait until what was begun is written."""
        self._attempt(self._wait)
        self._attempt(self._checkpointer.close)

    def newest(self, like: Callable[[Facts], Any]) -> tuple[Any, Facts] | None:
        """The newest checkpoint that is whole, as arrays and facts.

        Args:
            like: of a checkpoint's facts, a tree of arrays of the structure and the places that its
                arrays have.

        Returns:
            The arrays and the facts; None if there is no checkpoint.

        Raises:
            ValueError: a checkpoint of other data, another objective or another model, with the
                difference named; checkpoints of which none is whole.

        Warns:
            UserWarning: a checkpoint that is damaged, before which an older one is read.
        """
        held = self._checkpointer.checkpoints
        for checkpoint in reversed(held):
            try:
                metadata = self._checkpointer.metadata(checkpoint.step)
                facts: Facts = _dictionary(metadata.custom_metadata)
                shapes = {name: x.shape for name, x in _dictionary(metadata.metadata).items()}
            # Orbax and its storage raise errors of many kinds.
            except Exception as error:
                _warn_of_damage(checkpoint.step, self.path, error)
                continue
            expected = like(facts)
            self._check_same(facts, shapes, expected)
            try:
                return self._read(checkpoint.step, expected), facts
            except Exception as error:
                _warn_of_damage(checkpoint.step, self.path, error)
        if held:
            raise ValueError(f"{self.path}: none of {len(held)} checkpoints can be read")
        return None

    def _begin(self, number: int, held: dict[str, Array], facts: Facts, best: float | None) -> None:
        self._wait()
        about: Any = {**facts, "identity": self.identity}
        metrics: Any = None if best is None else {"best": best}
        self._pending = self._checkpointer.save_async(
            number, held, force=True, metrics=metrics, custom_metadata=about
        )

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            if not self._failed:
                self._failed = True
                reason = str(error).splitlines()[0][:200] or type(error).__name__
                warnings.warn(
                    f"no more checkpoints are saved to {self.path}: {reason}; training goes on",
                    stacklevel=2,
                )

    def _check_same(self, facts: Facts, shapes: dict[str, Any], like: Any) -> None:
        there = facts.get("identity", {})
        for name in sorted({*there, *self.identity}):
            if there.get(name) != self.identity.get(name):
                raise ValueError(
                    f"{self.path} holds a run with another {name}: {there.get(name)} there, "
                    f"{self.identity.get(name)} here"
                )
        expected = {name: x.shape for name, x in _flat(like).items()}
        shapes = {name: tuple(x) for name, x in shapes.items() if name != "checksum"}
        for name in sorted({*shapes, *expected}):
            if shapes.get(name) != expected.get(name):
                raise ValueError(
                    f"{self.path} holds a run with another model or optimizer: {name} is "
                    f"{shapes.get(name)} there, expected {expected.get(name)}"
                )

    def _read(self, number: int, like: Any) -> Any:
        held = _flat(like)
        wanted = {
            name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
            for name, x in {**held, "checksum": jnp.uint32(0)}.items()
        }
        read = self._checkpointer.load(number, wanted)
        expected = int(read.pop("checksum"))
        if int(_checksum(read)) != expected:
            raise ValueError("its numbers are not those that were written")
        return _unflat(read, like)


def described(x: Any) -> str:
    """What something is, without the addresses of functions, which are others in each process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(x))


def _warn_of_damage(number: int, path: Path, error: Exception) -> None:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    warnings.warn(
        f"checkpoint {number} in {path} is {DAMAGED} ({reason}); the one before it is read",
        stacklevel=3,
    )


def _dictionary(x: Any) -> dict[str, Any]:
    if not isinstance(x, dict):
        raise ValueError(f"its metadata are {type(x).__name__}, expected names and values")
    return x


def _flat(tree: Any) -> dict[str, Array]:
    """A tree's arrays by their names in it; random keys as their numbers."""
    return {_name(path): _data(x) for path, x in jax.tree_util.tree_leaves_with_path(tree)}


def _unflat(held: dict[str, Array], like: Any) -> Any:
    """The tree of which `_flat` gave these arrays."""

    def restored(path: Any, old: Array) -> Array:
        x = held[_name(path)]
        return jax.random.wrap_key_data(x, impl=jax.random.key_impl(old)) if _is_key(old) else x

    return jax.tree_util.tree_map_with_path(restored, like)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _data(x: Array) -> Array:
    return jax.random.key_data(x) if _is_key(x) else x


def _is_key(x: Array) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


@jax.jit
def _checksum(held: dict[str, Array]) -> Array:
    """A sum of all bits in which places count."""
    total = jnp.uint32(0)
    for name in sorted(held):
        words = _words(held[name])
        odd = 2 * jax.lax.iota(jnp.uint32, words.size) + 1
        total = total * jnp.uint32(31) + (words * odd).sum(dtype=jnp.uint32)
    return total


def _words(x: Array) -> Array:
    """An array's bits, in words of 32 of them, or wider ones of fewer."""
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint32).reshape(-1)
    size = min(x.dtype.itemsize, 4)
    unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}[size]
    return jax.lax.bitcast_convert_type(x, unsigned).astype(jnp.uint32).reshape(-1)
