"""The plan of a run's checkpoints: what a user says of them."""

import dataclasses
import re
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Where a run's checkpoints are, how often one is written, and which are kept.

    The best is the best of those that are written at the end of an epoch: inside one its metric is
    not known yet. So the end of an epoch that is better than the best so far is a time to write one
    as well, but where `every_seconds` is given not sooner than that after the last at an end.

    What a checkpoint holds wins where training goes on: parameters and the optimizer's state, also
    a learning rate that `optax.inject_hyperparams` keeps in it. Any other rate or schedule of the
    optimizer is that which is given then, and need not be the same.

    Args:
        path: the folder, new or of the run that is resumed.
        every_epochs: how many epochs lie between two of them; None for none at the end of epochs.
        every_seconds: how many seconds, also inside an epoch; None for none inside epochs.
        keep: how many of the latest are kept.
        best: the metric of the best one, which is kept as well: the smallest. None for no such.
            Without test data "test_loss" is the training loss.

    Raises:
        ValueError: a number that is not positive, nothing that says when, or an address such as
            gs://bucket/run instead of a folder.

    Example:
        >>> Checkpoints("run/checkpoints", every_seconds=600.0).keep
        2
    """

    path: str | Path
    every_epochs: int | None = 1
    every_seconds: float | None = None
    keep: int = 2
    best: str | None = "test_loss"

    def __post_init__(self):
        if re.match(r"[A-Za-z][\w+.-]+:/", str(self.path)):  # of "://" a Path keeps one slash
            raise ValueError(
                f"path is '{self.path}', an address, expected a folder; mount the storage and give "
                "the folder where it is mounted"
            )
        if self.every_epochs is None and self.every_seconds is None:
            raise ValueError("expected every_epochs or every_seconds, or both")
        for name in ("every_epochs", "every_seconds", "keep"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}, expected a positive number")
