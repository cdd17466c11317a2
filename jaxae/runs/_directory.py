"""The run directory: what a run writes, and where."""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flax import nnx

from jaxae.training import Epoch, History, State, save_checkpoint


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
        self._trimmed = False

    def append_epoch(self, row: Epoch) -> None:
        """Add an epoch's row to metrics.jsonl."""
        with self.metrics.open("a") as file:
            file.write(_json_row(row))

    def record(self, state: State, row: Epoch) -> None:
        """Add an epoch's row to metrics.jsonl, in the place of those that a killed run left."""
        if not self._trimmed and self.metrics.exists():
            lines = self.metrics.read_text().splitlines(keepends=True)
            _replace(self.metrics, "".join(lines[: row.epoch - 1]))
        self._trimmed = True
        self.append_epoch(row)

    def replace_checkpoint(self, model: nnx.Module) -> None:
        """Write the model's weights, in the place of those that are there."""
        if self.checkpoint.exists():
            shutil.rmtree(self.checkpoint)
        save_checkpoint(self.checkpoint, model)

    def write_history(self, history: History) -> None:
        """Write metrics.jsonl anew, so that it holds the completed epochs and no others."""
        _replace(self.metrics, "".join(map(_json_row, history)))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, which appears only when it is complete."""
    _replace(path, _json(content, indent=2))


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
    """A new run's directory; if the run fails before its first epoch, no trace of it is left.

    Args:
        path: a folder that does not exist or is empty.

    Yields:
        The directory, still empty.

    Raises:
        ValueError: the path is a file, or a folder that holds something.
        OSError: the folder cannot be made.
    """
    if path.is_file():
        raise ValueError(f"{path} is a file, expected a new folder; choose another --out")
    run = RunDirectory(path)
    if path.is_dir() and any(path.iterdir()):
        content = "another run" if run.config.exists() else "other files"
        raise ValueError(f"{path} holds {content}; choose another --out")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    made = []
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=folder != path)
            made.insert(0, folder)
        yield run
    except BaseException:
        if made != missing or not run.metrics.exists():
            _remove(path, made)
        raise


@contextmanager
def existing_run(path: Path) -> Iterator[RunDirectory]:
    """The directory of a run that was started.

    Raises:
        FileNotFoundError: no run is there.
    """
    run = RunDirectory(path)
    if not run.config.is_file():
        raise FileNotFoundError(f"no run to resume at {path}: it has no {run.config.name}")
    yield run


def _remove(path: Path, made: list[Path]) -> None:
    # What cannot be removed, e.g. a parent that holds another run by now, hides no earlier error.
    with suppress(OSError):
        for entry in path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
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


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
