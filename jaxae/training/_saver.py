"""Checkpoints of a run: written while it trains, whole or not at all, and read to go on from."""

import itertools
import json
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxae.training._checkpoint_plan import Checkpoints
from jaxae.training._distributed import agreed, in_any, is_writer, together
from jaxae.training._held import flat, held_checksum, kinds, unflat
from jaxae.training._identity import difference

Facts = dict[str, Any]


class BestSaved(NamedTuple):
    """Which checkpoint is the best so far: its metric's value, its number, the metric's name."""

    value: float
    number: int
    metric: str | None


class Saver:
    """Writes checkpoints in the background, and reads the newest that is whole.

    Of several processes all write and read, and where one cannot, none does.

    Args:
        checkpoints: where, how often, which.
        identity: what must be the same where training goes on, by name: data, objective, ….

    Raises:
        OSError: the folder cannot be made or written to.
        ValueError: another process cannot write to it, or sees another folder there.
    """

    def __init__(self, checkpoints: Checkpoints, identity: Mapping[str, str]):
        self.checkpoints, self.identity = checkpoints, dict(identity)
        self.path = Path(checkpoints.path).absolute()
        self._saved = self._saved_at_end = time.monotonic()
        self._failed = False
        self._best: BestSaved | None = None
        self._last: int | None = None
        together(self._check_folder)
        self._checkpointer = self._open()
        newest = max(self.numbers, default=-1)
        if in_any(agreed(newest) != newest):
            raise ValueError(
                f"not all processes see the same checkpoints in {self.path}, expected a folder "
                "that all of them can reach"
            )

    @property
    def numbers(self) -> list[int]:
        """The checkpoints that are there, from the oldest to the newest."""
        return [x.step for x in self._checkpointer.checkpoints]

    def due(self, epoch: int | None = None, metric: float | None = None) -> bool:
        """Whether it is time for the next one.

        Args:
            epoch: the one that is done, if one is.
            metric: its value of what the best checkpoint is chosen by, if it is known.
        """
        every, seconds = self.checkpoints.every_epochs, self.checkpoints.every_seconds
        if epoch is not None and every is not None and epoch % every == 0:
            return True
        better = self._is_better(metric)
        if seconds is None:
            return better
        # A slow disk delays no training.
        since = self._saved_at_end if better else self._saved
        waited = 0.0 if self._checkpointer.is_saving_in_progress() else time.monotonic() - since
        return agreed(waited) >= seconds

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Which of some checkpoints are kept, for Orbax: the latest, and the best."""
        numbers = [x.step for x in checkpoints]
        kept = {*sorted(numbers)[-self.checkpoints.keep :], self._best and self._best.number}
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
        if self._last is None:  # what was interrupted may still be being written
            self._attempt(self._checkpointer.wait)
        # The last one may not be on the disk yet, or be seen there by some processes alone.
        if in_any(number == self._last or number in self.numbers):
            return
        self._saved, self._last = time.monotonic(), number
        if metric is not None:
            self._saved_at_end = self._saved
            if self._is_better(metric):
                self._best = BestSaved(metric, number, self.checkpoints.best)
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
                about = together(self._about, number)
            except Exception as error:
                damaged[number] = error
                continue
            expected = together(self._expected, about, like)
            try:
                arrays = together(self._read, number, expected)
            except Exception as error:
                damaged[number] = error
                continue
            together(self._set_aside, damaged)
            self._checkpointer.reload()
            best = about["best"] and BestSaved(*about["best"])
            self._best = best if best and best.metric == self.checkpoints.best else None
            return arrays, about["facts"]
        if damaged:
            newest = _line(damaged[max(damaged)])
            raise ValueError(
                f"{self.path}: none of {len(damaged)} checkpoints can be read ({newest})"
            )
        return None

    def _check_folder(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise OSError(f"no checkpoints can be written to {self.path}: {error}") from error

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
        except BaseException:  # e.g. Ctrl-C: whether it has begun is not known
            self._last = None
            raise

    def _fail(self, reason: str) -> None:
        """Save no more, and say so once."""
        if not self._failed:
            self._failed = True
            warnings.warn(
                f"no more checkpoints are saved to {self.path}: {reason}; training goes on",
                stacklevel=2,
            )

    def _is_better(self, metric: float | None) -> bool:
        return metric is not None and (self._best is None or metric < self._best.value)

    def _about(self, number: int) -> dict[str, Any]:
        return _opened(self._checkpointer.metadata(number).custom_metadata)

    def _expected(self, about: dict[str, Any], like: Callable[[Facts], Any]) -> Any:
        """What a checkpoint must hold, if it is of the same run."""
        expected = like(about["facts"])
        other = difference(about["identity"], self.identity)
        if other is None:
            other = difference(about["arrays"], kinds(flat(expected)))
            other = other and f"model or optimizer: {other}"
        if other is not None:
            raise ValueError(f"{self.path} holds a run with another {other}")
        return expected

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
        """Have damaged checkpoints stand in the way of no new ones, and tell of them, once."""
        for number, error in damaged.items() if is_writer() else ():
            aside = _free(self.path / f"damaged-{number}")
            warnings.warn(
                f"checkpoint {number} in {self.path} is damaged ({_line(error)}); the one before "
                f"it is read, and it is now called {aside.name}",
                stacklevel=4,
            )
            (self.path / str(number)).rename(aside)


def _free(path: Path) -> Path:
    """The first of path, path-2, path-3, … that does not exist."""
    others = (path.with_name(f"{path.name}-{i}") for i in itertools.count(2))
    return next(x for x in itertools.chain([path], others) if not x.exists())


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
