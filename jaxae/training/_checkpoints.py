"""Checkpoints of a run: written while it trains, whole or not at all, and read to go on from."""

import dataclasses
import json
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxae.training._distributed import agreed, in_any
from jaxae.training._held import flat, held_checksum, kinds, unflat
from jaxae.training._identity import difference

Facts = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where a run's checkpoints are, how often one is written, and which are kept.

    Args:
        path: the folder, new or of the run that is resumed.
        every_epochs: how many epochs lie between two of them; None for none at the end of epochs.
        every_seconds: how many seconds, also inside an epoch; None for none inside epochs.
        keep: how many of the latest are kept.
        best: the metric of the best one, which is kept as well: the smallest. None for no such.
            Without test data "test_loss" is the training loss.

    Raises:
        ValueError: a number that is not positive, or nothing that says when.

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

    Raises:
        OSError: the folder cannot be made or written to.
    """

    def __init__(self, checkpoints: Checkpoints, identity: Mapping[str, str]):
        self.checkpoints, self.identity = checkpoints, dict(identity)
        self.path = Path(checkpoints.path).absolute()
        self._saved, self._failed = time.monotonic(), False
        self._best: tuple[float, int] | None = None
        self._last: int | None = None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                self._checkpointer = self._open()
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
        if seconds is None:
            return False
        # A slow disk delays no training.
        waited = (
            0.0 if self._checkpointer.is_saving_in_progress() else time.monotonic() - self._saved
        )
        return agreed(waited) >= seconds

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Which of some checkpoints are kept, for Orbax: the latest, and the best."""
        numbers = [x.step for x in checkpoints]
        kept = {*sorted(numbers)[-self.checkpoints.keep :], self._best and self._best[1]}
        return [number in kept for number in numbers]

    def save(self, number: int, arrays: Any, facts: Facts, metric: float | None = None) -> None:
        """Begin to write a checkpoint; a fault stops the saving, not the training.

        Args:
            number: of batches so far.
            arrays: a tree of them.
            facts: what else there is to know, ready for JSON.
            metric: what the best checkpoint is chosen by, the smallest; None if it is not known.

        Warns:
            UserWarning: no checkpoint can be written, e.g. because the disk is full.
        """
        if in_any(self._failed):
            self._fail("another process cannot write its part")
            return
        # The last one may not be on the disk yet, or be seen there by some processes alone.
        if in_any(number == self._last or number in self.numbers):
            return
        self._saved, self._last = time.monotonic(), number
        if metric is not None and (self._best is None or metric < self._best[0]):
            self._best = metric, number
        held = flat(arrays)
        about = {
            "identity": self.identity,
            "arrays": kinds(held),
            "best": self._best,
            "facts": facts,
        }
        # It waits for the one before, whose fault it raises.
        self._attempt(
            lambda: self._checkpointer.save_async(
                number,
                # Numbers are read back as they were written, or not at all.
                {**held, "checksum": held_checksum(held)},
                force=True,
                custom_metadata=_sealed(about),
            )
        )

    def finish(self) -> None:
        """Wait until what was begun is written."""
        self._attempt(self._checkpointer.wait)
        self._attempt(self._checkpointer.close)

    def newest(self, like: Callable[[Facts], Any]) -> tuple[Any, Facts] | None:
        """The newest checkpoint that is whole, as arrays and facts; damaged ones are set aside.

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
        damaged: dict[int, Exception] = {}
        for number in reversed(self.numbers):
            # Orbax and its storage raise errors of many kinds.
            try:
                about = _opened(self._checkpointer.metadata(number).custom_metadata)
            except Exception as error:
                damaged[number] = error
                continue
            expected = like(about["facts"])
            self._check_same(about, expected)
            try:
                arrays = self._read(number, expected)
            except Exception as error:
                damaged[number] = error
                continue
            self._set_aside(damaged)
            self._best = about["best"] and tuple(about["best"])
            return arrays, about["facts"]
        if damaged:
            newest = _line(damaged[max(damaged)])
            raise ValueError(
                f"{self.path}: none of {len(damaged)} checkpoints can be read ({newest})"
            )
        return None

    def _open(self) -> Any:
        # Orbax takes 0.4 s to import and more to start: only where checkpoints are asked for.
        from orbax.checkpoint import v1 as ocp

        return ocp.training.Checkpointer(
            str(self.path),
            preservation_policy=self,
            cleanup_tmp_directories=True,
        )

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            self._fail(_line(error))

    def _fail(self, reason: str) -> None:
        """Save no more, and say so once."""
        if not self._failed:
            self._failed = True
            warnings.warn(
                f"no more checkpoints are saved to {self.path}: {reason}; training goes on",
                stacklevel=2,
            )

    def _check_same(self, about: dict[str, Any], expected: Any) -> None:
        other = difference(about["identity"], self.identity)
        if other is None:
            other = difference(about["arrays"], kinds(flat(expected)))
            other = other and f"model or optimizer: {other}"
        if other is not None:
            raise ValueError(f"{self.path} holds a run with another {other}")

    def _read(self, number: int, like: Any) -> Any:
        wanted = {
            name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)
            for name, x in {**flat(like), "checksum": jnp.uint32(0)}.items()
        }
        read = self._checkpointer.load(number, wanted)
        expected = int(read.pop("checksum"))
        if int(held_checksum(read)) != expected:
            raise ValueError("its numbers are not those that were written")
        return unflat(read, like)

    def _set_aside(self, damaged: Mapping[int, Exception]) -> None:
        """Have damaged checkpoints stand in the way of no new ones, and tell of them."""
        for number, error in damaged.items():
            warnings.warn(
                f"checkpoint {number} in {self.path} is damaged ({_line(error)}); the one before "
                f"it is read, and it is now called damaged-{number}",
                stacklevel=3,
            )
            (self.path / str(number)).rename(self.path / f"damaged-{number}")
        if damaged:
            self._checkpointer.reload()


def _sealed(about: dict[str, Any]) -> Any:
    text = json.dumps(about)
    return {"about": text, "checksum": zlib.crc32(text.encode())}


def _opened(sealed: Any) -> dict[str, Any]:
    if zlib.crc32(sealed["about"].encode()) != sealed["checksum"]:
        raise ValueError("what it says of itself is not what was written")
    return json.loads(sealed["about"])


def _line(error: Exception) -> str:
    """What an error says, in one line: some of the storage's fill pages."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
