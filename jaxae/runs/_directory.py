"""The run directory: what a run writes, and where."""

import dataclasses
import json
import math
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flax import nnx

from jaxae.runs._config import Config
from jaxae.training import (
    Epoch,
    History,
    State,
    is_writer,
    save_checkpoint,
    together,
    wait_for_all,
)


class RunDirectory:
    """A folder with one run's configuration, metrics, weights, pictures and summary.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.summary = path / "summary.json"
        self.checkpoint = path / "checkpoint"
        self.checkpoints = path / "checkpoints"
        self.losses = path / "loss.png"
        self.reconstructions = path / "reconstructions.png"
        self.has_recorded = False  # an epoch, in this process

    def read_config(self) -> Config:
        """What the run was asked to do.

        Raises:
            FileNotFoundError: no run is there.
            ValueError: its configuration is broken.
        """
        if not self.config.is_file():
            raise FileNotFoundError(f"no run at {self.path}: it has no {self.config.name}")
        return Config.from_file(self.config)

    def read_summary(self) -> dict[str, Any] | None:
        """What the run has come to; None if it is not done."""
        return json.loads(self.summary.read_text()) if self.summary.is_file() else None

    def append_epoch(self, row: Epoch) -> None:
        """Add an epoch's row to metrics.jsonl."""
        with self.metrics.open("a") as file:
            file.write(_json_row(row))

    def record(self, state: State, row: Epoch) -> None:
        """Add an epoch's row to metrics.jsonl, in the place of those that a killed run left.

        Of what was there, the whole rows of the epochs before it stay.

        Warns:
            UserWarning: it cannot be written, e.g. because the disk is full.
        """
        first, self.has_recorded = not self.has_recorded, True
        try:
            if first and self.metrics.exists():
                lines = self.metrics.read_text(errors="replace").splitlines()
                kept = [line for line in lines if 0 < _epoch_of(line) < row.epoch]
                _replace(self.metrics, "".join(f"{line}\n" for line in kept))
            self.append_epoch(row)
        except OSError as error:
            warnings.warn(f"{self.metrics} lacks epochs: {error}; training goes on", stacklevel=2)

    def replace_checkpoint(self, model: nnx.Module) -> None:
        """Write the model's weights, in the place of those that are there; all processes do."""
        new = self.path / ".checkpoint.partial"
        if is_writer():
            shutil.rmtree(new, ignore_errors=True)
        wait_for_all("the place for the checkpoint is free")
        save_checkpoint(new, model)
        if is_writer():
            shutil.rmtree(self.checkpoint, ignore_errors=True)
            new.rename(self.checkpoint)

    @property
    def is_saved(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return any(path.name.isdigit() for path in self.checkpoints.glob("*"))

    def write_history(self, history: History) -> None:
        """Write metrics.jsonl anew, so that it holds the completed epochs and no others."""
        _replace(self.metrics, "".join(map(_json_row, history)))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, which appears only when it is complete."""
    _replace(path, _json(content, indent=2))


def resumed_config(path: Path, epochs: int | None = None) -> Config:
    """What a run was asked to do, to go on with it: for as many epochs, or for so many in all.

    Raises:
        FileNotFoundError: no run is there.
        ValueError: its configuration is broken, or a number of epochs below 1.
    """
    config = RunDirectory(path).read_config()
    return config if epochs is None else dataclasses.replace(config, epochs=epochs)


def default_path(data: str, model: str, root: Path = Path("runs")) -> Path:
    """The first of runs/DATA-MODEL, runs/DATA-MODEL-2, … that does not exist.

    Example:
        >>> default_path("faces/small.npy", "mlp").as_posix()
        'runs/small-mlp'
    """
    name, number = f"{Path(data).absolute().resolve().stem or 'data'}-{model}", 1
    while (path := root / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return path


@contextmanager
def new_run(path: Path) -> Iterator[RunDirectory]:
    """A new run's directory; if it fails before an epoch is done or saved, no trace is left.

    Args:
        path: a folder that does not exist or is empty.

    Yields:
        The directory, still empty.

    Raises:
        ValueError: the path is a file, or a folder that holds something.
        OSError: the folder cannot be made.
    """
    run, made = RunDirectory(path), together(_made, path)
    try:
        yield run
    except BaseException:
        if not (run.metrics.exists() or run.is_saved):
            _remove(path, made)
        raise


@contextmanager
def joined_run(path: Path) -> Iterator[RunDirectory]:
    """The directory of a run that another process writes, which must have it first.

    Raises:
        ValueError: the other process cannot make it, or there is something else.
    """
    yield together(RunDirectory, path)


@contextmanager
def existing_run(path: Path, config: Config) -> Iterator[RunDirectory]:
    """The directory of a run that was started, to go on with it, perhaps for more epochs.

    Raises:
        FileNotFoundError: no run is there.
        ValueError: it was asked to do something else, apart from the number of epochs.
    """
    run = RunDirectory(path)
    there = together(_same_config, run, config)
    try:
        yield run
    except ValueError:  # e.g. the data are others now: the run is left as it was
        if not run.has_recorded:
            write_json(run.config, there)
        raise


def _made(path: Path) -> list[Path]:
    """The folders that are made for a new run, from the innermost; all of them or none."""
    if path.is_file():
        raise ValueError(f"{path} is a file, expected a new folder; choose another --out")
    if path.is_dir() and any(path.iterdir()):
        content = "another run" if RunDirectory(path).config.exists() else "other files"
        raise ValueError(f"{path} holds {content}; choose another --out")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=folder != path)
            made.insert(0, folder)
            _sync_folder(folder.parent)
    except BaseException:
        _remove_empty(made)
        raise
    return made


def _same_config(run: RunDirectory, config: Config) -> dict[str, Any]:
    """What a run was asked to do, which is the same but for the number of epochs."""
    there, here = run.read_config().to_json(), config.to_json()
    for name, value in there.items():
        if name != "epochs" and value != here[name]:
            raise ValueError(
                f"{run.path} holds a run with another {name}: {value!r} there, {here[name]!r} here"
            )
    return there


def _remove(path: Path, made: list[Path]) -> None:
    # What cannot be removed, e.g. a parent that holds another run by now, hides no earlier error.
    with suppress(OSError):
        for entry in path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    _remove_empty(made)


def _remove_empty(made: list[Path]) -> None:
    for folder in made:
        with suppress(OSError):
            folder.rmdir()


def _json_row(row: Epoch) -> str:
    return _json(row.metrics())


def _json(content: dict[str, Any], indent: int | None = None) -> str:
    # JSON has no NaN and no infinity: null.
    content = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in content.items()
    }
    return json.dumps(content, indent=indent, allow_nan=False) + "\n"


def _epoch_of(line: str) -> int:
    """The epoch that a line of metrics.jsonl is about; 0 if it is not a whole row."""
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, TypeError, KeyError):
        return 0


def _replace(path: Path, text: str) -> None:
    """Write a file in the place of the one there: after a power cut it is either of the two."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # else the name may reach the disk before the content
    partial.replace(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Have the names in a folder reach the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows, where no folder can be opened
        return
    folder = os.open(path, os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
