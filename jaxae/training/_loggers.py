"""Loggers: where the metrics of training go besides the History."""

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable

from jaxae.training._history import Epoch

Given = ParamSpec("Given")
Result = TypeVar("Result")


@runtime_checkable
class Logger(Protocol):
    """What is told each epoch's metrics. Anything with these two methods is one.

    Example:
        >>> class Printed:
        ...     def log(self, epoch, metrics):
        ...         print(epoch, sorted(metrics))
        ...     def close(self):
        ...         pass
        >>> Printed().log(1, {"train_loss": 0.5})
        1 ['train_loss']
    """

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take an epoch's metrics, numbers by name."""
        ...

    def close(self) -> None:
        """Write what is not written yet."""
        ...


class TensorBoard:
    """Metrics as TensorBoard's scalars, one for each name and epoch.

    Args:
        path: the folder that TensorBoard is pointed at.

    Raises:
        ModuleNotFoundError: tensorboardX is missing.
    """

    def __init__(self, path: str | Path):
        try:
            from tensorboardX import SummaryWriter
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "TensorBoard logs need tensorboardX: pip install 'jaxae[tensorboard]'",
                name="tensorboardX",
            ) from error
        self.writer = SummaryWriter(str(path))

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write an epoch's metrics."""
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, epoch)

    def close(self) -> None:
        """Write what is not written yet."""
        self.writer.close()


class WeightsAndBiases:
    """Metrics as a run of Weights & Biases; without a network, `mode="offline"`.

    Args:
        **options: of `wandb.init`, e.g. `project="digits"`, `mode="offline"`, `dir="runs"`.

    Raises:
        ModuleNotFoundError: wandb is missing.
    """

    def __init__(self, **options: Any):
        try:
            import wandb
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "Weights & Biases needs wandb: pip install 'jaxae[wandb]'", name="wandb"
            ) from error
        self.run = wandb.init(**options)

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Send an epoch's metrics."""
        self.run.log(dict(metrics), step=epoch)

    def close(self) -> None:
        """End the run."""
        self.run.finish()


def closing_loggers(train: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function that closes its `loggers=` however it ends, also where it refuses to begin."""

    @functools.wraps(train)
    def closing(*arguments: Given.args, **named: Given.kwargs) -> Result:
        loggers: Any = named.get("loggers", ())
        with opened(loggers):
            return train(*arguments, **named)

    return closing


@contextmanager
def opened(loggers: Sequence[Logger]) -> Iterator[None]:
    """Close all loggers when the context ends, however it ends.

    Raises:
        TypeError: something that is no Logger.

    Warns:
        UserWarning: a logger that cannot be closed; what was trained is not lost by it.
    """
    if isinstance(loggers, Logger):
        name = name_of(loggers)
        raise TypeError(f"loggers is one {name}, expected a list of loggers: [{name}(…)]")
    with ExitStack() as stack:
        for logger in loggers:
            if not isinstance(logger, Logger):
                raise TypeError(
                    f"loggers holds {logger!r}, expected objects with the methods log and close, "
                    "e.g. jaxae.training.TensorBoard('logs')"
                )
            stack.callback(_close, logger)
        yield


def log_epoch(loggers: Sequence[Logger], row: Epoch) -> None:
    """Tell all loggers an epoch's numbers."""
    metrics = {n: x for n, x in row.metrics().items() if x is not None and n != "epoch"}
    for logger in loggers:
        logger.log(row.epoch, metrics)


def name_of(who: Any) -> str:
    """What someone who is told of epochs is called: a function's name, or else a class's."""
    return getattr(who, "__name__", type(who).__name__)


def _close(logger: Logger) -> None:
    try:
        logger.close()
    except Exception as error:
        warnings.warn(
            f"logger {name_of(logger)} failed to close: {type(error).__name__}: {error}; its last "
            "epochs may not be written",
            stacklevel=2,
        )
