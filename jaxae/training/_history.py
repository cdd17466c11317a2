"""What training leaves behind besides the model: one row an epoch."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload


class Epoch(NamedTuple):
    """One epoch's row.

    Args:
        epoch: counted from 1.
        train_loss: the objective over the training data, each batch before its update.
        test_loss: the objective over the test data after the epoch; None without test data.
        samples_per_second: training samples over the time of the loop, test and compilation apart.
        train_terms: each term over the training data, without its coefficient, by name.
        test_terms: each term over the test data.
        updates: how many updates have been made since training began.
        skipped: how many updates were dropped because they were not finite.
        deviation: the standard deviation over models that are trained at once, of each number that
            is then their mean, by its name in `metrics`; empty for one model.
    """

    epoch: int
    train_loss: float
    test_loss: float | None = None
    samples_per_second: float = 0.0
    train_terms: Mapping[str, float] = {}
    test_terms: Mapping[str, float] = {}
    updates: int = 0
    skipped: int = 0
    deviation: Mapping[str, float] = {}

    def metrics(self) -> dict[str, Any]:
        """The row as one number a name: terms are `train_kl`, `test_kl`, deviations `…_std`."""
        row = self._asdict()
        parts = {part: row.pop(f"{part}_terms") for part in ("train", "test")}
        terms = {f"{part}_{name}": x for part, named in parts.items() for name, x in named.items()}
        deviations = {f"{name}_std": x for name, x in row.pop("deviation").items()}
        return {**row, **terms, **deviations}


class Kept(NamedTuple):
    """What there is of a run that ended early.

    Args:
        epochs: how many are done.
        folder: of the checkpoints; None if none were asked for.
        checkpoint: the newest that is whole; None if there is none.
        saved: whether that holds all that was done.
    """

    epochs: int
    folder: Path | None = None
    checkpoint: Path | None = None
    saved: bool = False

    def __str__(self) -> str:
        """One line.

        Example:
            >>> print(Kept(2, Path("run"), Path("run", "10")))
            epochs 1 to 2 are kept, and checkpoints in run, the last of which is run/10: what came
            after it is not saved
        """
        kept = f"epochs 1 to {self.epochs} are kept" if self.epochs else "no epoch is done"
        if self.folder is None:
            return kept
        if self.checkpoint is None:
            return f"{kept}, and no checkpoint is in {self.folder}"
        if self.saved:
            return f"{kept}, and checkpoints in {self.folder}"
        return (
            f"{kept}, and checkpoints in {self.folder}, the last of which is {self.checkpoint}: "
            "what came after it is not saved"
        )


@dataclasses.dataclass(frozen=True)
class History(Sequence[Epoch]):
    """The epochs that were completed, and how training ended.

    Args:
        epochs: a row each.
        compile_seconds: the time that tracing and compilation took.
        stopped: why training ended before its last epoch; None if it did not.
        best: the epoch whose model was kept, where the best one is; None for the last.
        kept: what there is of training that ended before; None if it did not.
    """

    epochs: tuple[Epoch, ...] = ()
    compile_seconds: float = 0.0
    stopped: str | None = None
    best: int | None = None
    kept: Kept | None = None

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
