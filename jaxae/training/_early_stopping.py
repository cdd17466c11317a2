"""Early stopping: training ends when a metric has not improved for some epochs."""

import dataclasses
import math
from typing import Literal

from jaxae.training._history import Epoch
from jaxae.training._state import State


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Stop when a logged metric has not improved for some epochs, and keep the best model.

    Args:
        metric: a name in `Epoch.metrics()`, e.g. "test_loss" or "test_kl".
        patience: how many epochs may pass without an improvement.
        min_delta: by how much a better value must be better.
        mode: whether a smaller or a larger value is better.

    Raises:
        ValueError: a patience below 1, a negative `min_delta`, or an unknown mode.

    Example:
        >>> EarlyStopping(patience=3).improves(0.5, 0.7)
        True
    """

    metric: str = "test_loss"
    patience: int = 10
    min_delta: float = 0.0
    mode: Literal["min", "max"] = "min"

    def __post_init__(self):
        if self.patience < 1:
            raise ValueError(f"patience is {self.patience}, expected at least 1")
        if not self.min_delta >= 0:
            raise ValueError(f"min_delta is {self.min_delta}, expected 0 or more")
        if self.mode not in ("min", "max"):
            raise ValueError(f"mode is {self.mode!r}, expected 'min' or 'max'")

    def improves(self, value: float, best: float) -> bool:
        """Whether a value is better than the best so far; nothing is worse than NaN."""
        if math.isnan(best):
            return not math.isnan(value)
        gain = best - value if self.mode == "min" else value - best
        return gain > self.min_delta

    def value(self, row: Epoch) -> float:
        """The metric in an epoch's row.

        Raises:
            ValueError: no such metric.
        """
        metrics = row.metrics()
        if metrics.get(self.metric) is None:
            known = ", ".join(name for name, x in metrics.items() if x is not None)
            raise ValueError(f"no metric {self.metric!r} to stop early on, expected one of {known}")
        return float(metrics[self.metric])


@dataclasses.dataclass(frozen=True)
class Best:
    """The best model so far.

    Args:
        state: the State after its epoch.
        epoch: which; 0 before the first.
        value: of the metric.
    """

    state: State
    epoch: int = 0
    value: float = math.nan

    def after(self, stopping: EarlyStopping, row: Epoch, state: State) -> "Best":
        """The best model after one more epoch."""
        value = stopping.value(row)
        better = stopping.improves(value, self.value)
        return Best(state, row.epoch, value) if better else self
