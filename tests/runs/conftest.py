"""One small run on the digits, shared by all tests that only look at it."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jaxae.runs import Config, RunDirectory, train


class Run(NamedTuple):
    """A run that is done."""

    path: Path
    directory: RunDirectory
    summary: dict[str, Any]


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Run:
    """Two epochs of the network 64-16-4-16-64."""
    path = tmp_path_factory.mktemp("runs") / "deep" / "run"
    config = Config(layers=(16, 4), epochs=2, batch_size=100, learning_rate=0.01)
    return Run(path, RunDirectory(path), train(config, path, show_progress=False))
