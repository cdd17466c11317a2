"""What training leaves behind besides the model: one row an epoch."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, overload


class Epoch(NamedTuple):
    """One epoch's row.

    Args:
        epoch: counted from 1.
        train_loss: the objective over the training data, each batch before its update.
        test_loss: the objective over the test data after the epoch; None without test data.
        samples_per_second: training samples over the time of the loop, test and compilation apart.
    """

    epoch: int
    train_loss: float
    test_loss: float | None = None
    samples_per_second: float = 0.0


@dataclasses.dataclass(frozen=True)
class History(Sequence[Epoch]):
    """The epochs that were completed, and how training ended.

    Args:
        epochs: a row each.
        compile_seconds: the time that tracing and compilation took.
        stopped: why training ended before its last epoch; None if it did not.
    """

    epochs: tuple[Epoch, ...] = ()
    compile_seconds: float = 0.0
    stopped: str | None = None

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Epoch, ...]: ...
    def __getitem__(self, index):
        return self.epochs[index]

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def samples_per_second(self) -> float:
        """The steady rate: the harmonic mean over the epochs, which have equal samples."""
        return len(self) / sum(1 / row.samples_per_second for row in self) if self else 0.0
