"""The command line, in this process and in a process of its own."""

import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from jaxae.cli import main


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory, empty."""
    path = tmp_path / "folder"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def jaxae(monkeypatch, capfd, folder) -> Callable[..., Result]:
    """Runs a command in this process, which has imported jax already."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["jaxae", *map(str, arguments)])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        handler = signal.getsignal(signal.SIGINT)
        try:
            with pytest.raises(SystemExit) as end:
                main()
        finally:
            signal.signal(signal.SIGINT, handler)
        return Result(end.value.code, *capfd.readouterr())

    return run


@pytest.fixture
def process(folder) -> Callable[..., Result]:
    """Runs a command in a process of its own; `first` is Python that is run before."""

    def run(*arguments: object, first: str = "") -> Result:
        code = f"{first}\nfrom jaxae.cli import main\nmain()" if first else None
        how = ["-m", "jaxae"] if code is None else ["-c", code]
        done = subprocess.run(
            [sys.executable, *how, *map(str, arguments)], cwd=folder, capture_output=True, text=True
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run
