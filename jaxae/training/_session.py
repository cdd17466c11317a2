"""A session of training: what has been done so far, what is saved of it, and who is told."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from flax import nnx

from jaxae.training._checkpoints import Saver
from jaxae.training._early_stopping import Best, EarlyStopping
from jaxae.training._ensemble import Ensemble, model_states
from jaxae.training._epoch import Position, Program
from jaxae.training._history import Epoch
from jaxae.training._loggers import Logger, log_epoch
from jaxae.training._state import State, trained_model

Callback = Callable[[State, Epoch], None]
Monitor = Callable[[Any, Epoch], None]


@dataclasses.dataclass
class Session:
    """All that changes in Python while `fit` runs.

    Args:
        program: what is run.
        models: what training began with: one, or several that are trained at once.
        position: where training stands.
        saver: writes checkpoints, or None.
        early_stopping: when to end early, or None.
        rows: the epochs that are done.
        ended: the state after the last of them.
        best: the best model so far, where early stopping keeps one.
    """

    program: Program
    models: Sequence[nnx.Module]
    position: Position
    saver: Saver | None = None
    early_stopping: EarlyStopping | None = None
    rows: tuple[Epoch, ...] = ()
    ended: State = dataclasses.field(init=False)
    best: Best | None = None

    def __post_init__(self):
        self.ended = self.state
        if self.early_stopping is not None and self.best is None:
            self.best = Best(self.state)

    @property
    def state(self) -> State:
        """The state after the last update."""
        return self.position.progress.state

    @property
    def kept(self) -> State:
        """The state that is the result: the best, or else that of the last epoch that is done."""
        return self.best.state if self.best is not None and self.best.epoch else self.ended

    def trained(self, state: State) -> Any:
        """The model of a state, or a list of them where several are trained at once."""
        state = self.program.layout.local(state)
        if not isinstance(self.program.step, Ensemble):
            return trained_model(self.models[0], state)
        states = model_states(state, len(self.models))
        return [trained_model(model, one) for model, one in zip(self.models, states, strict=True)]

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        assert self.saver is not None
        found = self.saver.newest(lambda facts: self._arrays(at_an_end=facts["at an end"]))
        if found is None:
            return
        arrays, facts = found
        progress, done = arrays["position"]
        self.position = Position(facts["epoch"], facts["chunk"], progress, done)
        self.rows = tuple(Epoch(**row) for row in facts["rows"])
        self.ended = arrays.get("ended", self.state)
        if self.best is not None:
            self.best = Best(arrays["best"], **facts["best"])

    def watch(self, position: Position) -> None:
        """Take a position inside an epoch, and save it if it is time."""
        self.position = position
        if self.saver is not None and self.saver.due():
            self.save()

    def end_epoch(
        self,
        position: Position,
        row: Epoch,
        loggers: Sequence[Logger],
        monitors: Sequence[Monitor],
        callbacks: Sequence[Callback],
    ) -> None:
        """Take an epoch that is done: keep its row, save it, and tell everyone.

        Raises:
            RuntimeError: a callback that failed, with its name; the state is saved before.
        """
        self.position, self.rows, self.ended = position, (*self.rows, row), position.progress.state
        if self.best is not None and self.early_stopping is not None:
            self.best = self.best.after(self.early_stopping, row, self.state)
        if self.saver is not None and self.saver.due(row.epoch):
            self.save()
        log_epoch(loggers, row)
        for monitor in monitors:
            monitor(self.trained(self.state), row)
        for callback in callbacks:
            self._call(callback, row)

    @property
    def exhausted(self) -> str | None:
        """Why training ends early, if it does."""
        stopping, best = self.early_stopping, self.best
        if stopping is None or best is None or not self.rows:
            return None
        waited = self.rows[-1].epoch - best.epoch
        if waited < stopping.patience:
            return None
        return f"{stopping.metric} has not improved since epoch {best.epoch}"

    def save(self) -> None:
        """Begin to write a checkpoint of where training stands."""
        if self.saver is None:
            return
        facts: dict[str, Any] = {
            "epoch": self.position.epoch,
            "chunk": self.position.chunk,
            "at an end": self._at_an_end,
            "rows": [row._asdict() for row in self.rows],
        }
        if self.best is not None:
            facts["best"] = {"epoch": self.best.epoch, "value": self.best.value}
        source = self.program.train
        number = (self.position.epoch - 1) * source.batches + self.position.batch(source)
        self.saver.save(number, self._arrays(self._at_an_end), facts, self._metric())

    @property
    def _at_an_end(self) -> bool:
        """Whether an epoch has just been done, so that its state is the position's."""
        return self.position.chunk == 0 and int(self.position.progress.next) == 0

    def _arrays(self, at_an_end: bool) -> dict[str, Any]:
        """What a checkpoint holds: nothing twice."""
        arrays: dict[str, Any] = {"position": self.position.arrays}
        if not at_an_end:
            arrays["ended"] = self.ended
        if self.best is not None:
            arrays["best"] = self.best.state
        return arrays

    def _metric(self) -> float | None:
        """What the best checkpoint is chosen by, where an epoch has just been done."""
        if self.saver is None or self.saver.checkpoints.best is None or not self.rows:
            return None
        metrics = self.rows[-1].metrics()
        value = metrics.get(self.saver.checkpoints.best)
        value = metrics["train_loss"] if value is None else value
        return float(value) if self._at_an_end else None

    def _call(self, callback: Callback, row: Epoch) -> None:
        try:
            callback(self.state, row)
        except Exception as error:
            self.save()
            name = getattr(callback, "__name__", repr(callback))
            raise RuntimeError(
                f"callback {name} failed after epoch {row.epoch}: {type(error).__name__}: {error}"
            ) from error
