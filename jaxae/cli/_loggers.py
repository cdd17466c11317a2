"""The loggers that the command line offers, for a run's folder."""

from collections.abc import Callable
from pathlib import Path

from jaxae.training import Logger, TensorBoard, WeightsAndBiases


def chosen_loggers(*, tensorboard: bool, wandb: bool) -> list[Callable[[Path], Logger]]:
    """What makes the chosen ones, of the folder that they write to."""
    chosen: list[Callable[[Path], Logger]] = []
    if tensorboard:
        chosen.append(TensorBoard)
    if wandb:
        chosen.append(_weights_and_biases)
    return chosen


def _weights_and_biases(run: Path) -> Logger:
    return WeightsAndBiases(project="jaxae", name=run.name, dir=str(run))
