"""A finished run read back: its model and its metrics."""

import os
from pathlib import Path

from jaxae.models import Autoencoder
from jaxae.runs._config import Config
from jaxae.runs._directory import RunDirectory
from jaxae.runs._summary import evaluate_test
from jaxae.training import load_checkpoint


def load_model(path: str | os.PathLike) -> Autoencoder:
    """The trained model of a run; its data are not needed.

    Args:
        path: the run directory.

    Returns:
        The model with the weights of the epoch that summary.json names as `weights_epoch`: the last
        that was completed, or with `patience` the best.

    Raises:
        FileNotFoundError: no run at this path, or one without a checkpoint.
        ValueError: a configuration or checkpoint that is broken.
    """
    return _load(path)[1]


def evaluate(path: str | os.PathLike) -> dict[str, float]:
    """A run's model evaluated anew on the test samples of its data.

    Args:
        path: the run directory.

    Returns:
        `test_bce`, `test_mse` and so on, as in summary.json.

    Raises:
        FileNotFoundError: no run at this path, one without a checkpoint, or data that are gone.
        ValueError: a configuration, checkpoint or data that are broken.
    """
    config, model = _load(path)
    return evaluate_test(model, config.load_data())


def _load(path: str | os.PathLike) -> tuple[Config, Autoencoder]:
    run = RunDirectory(Path(path))
    config = run.read_config()
    return config, load_checkpoint(run.checkpoint, config.build_model())
