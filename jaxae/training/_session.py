"""A session of training: what has been done so far, what is saved of it, and who is told."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
from flax import nnx

from jaxae.training._audience import Audience
from jaxae.training._checkpoint_plan import Checkpoints
from jaxae.training._distributed import agreed_reason
from jaxae.training._early_stopping import Best, EarlyStopping
from jaxae.training._ensemble import Ensemble, model_states
from jaxae.training._epoch import Position, Program
from jaxae.training._history import Epoch, History, Kept
from jaxae.training._identity import described, model_description
from jaxae.training._loop import finite
from jaxae.training._saver import Saver
from jaxae.training._state import State, trained_model


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
        self._check_metrics()

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

    def begin(self, epochs: int, *, resume: bool) -> None:
        """Go on from the newest checkpoint, or see that there is none to be overwritten.

        Raises:
            TypeError: a resume without checkpoints.
            ValueError: checkpoints of more epochs; or of a run, without `resume`.
        """
        if self.saver is None:
            if resume:
                raise TypeError("resume needs checkpoints=Checkpoints(path)")
        elif resume:
            self._resume()
            if len(self.rows) > epochs:
                raise ValueError(
                    f"{self.saver.path} holds a run of {len(self.rows)} epochs, expected epochs "
                    f"to be as many or more, got {epochs}"
                )
        elif self.saver.numbers:
            raise ValueError(
                f"{self.saver.path} holds the checkpoints of a run; go on from them with "
                "resume=True, or choose another path"
            )

    def _resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        assert self.saver is not None
        found = self.saver.newest(lambda facts: self._arrays(facts["at an end"], "best" in facts))
        if found is None:
            return
        arrays, facts = found
        progress, done = arrays["position"]
        self.position = Position(facts["epoch"], facts["chunk"], progress, done)
        self.rows = tuple(Epoch(**row) for row in facts["rows"])
        self.ended = arrays.get("ended", self.state)
        if self.early_stopping is not None:
            self.best = self._best_of(self.early_stopping, arrays, facts.get("best"))

    def watch(self, position: Position) -> None:
        """Take a position inside an epoch, and save it if it is time."""
        self.position = position
        if self.saver is not None and self.saver.due():
            self.save()

    def end_epoch(self, position: Position, row: Epoch, audience: Audience) -> None:
        """Take an epoch that is done: keep its row, tell the audience, and save it if it is time.

        What is saved has been told, so that nobody misses an epoch where the run is killed.

        Raises:
            FloatingPointError: an epoch whose updates were all dropped.
            RuntimeError: who failed to be told, with its name; the state is saved before.
        """
        if row.updates == (self.rows[-1].updates if self.rows else 0):
            raise FloatingPointError(
                f"all updates of epoch {row.epoch} were dropped: none of them was finite"
            )
        self.position, self.rows, self.ended = position, (*self.rows, row), position.progress.state
        if self.best is not None and self.early_stopping is not None:
            self.best = self.best.after(self.early_stopping, row, self.state)
        fault = _fault_of(lambda: audience.tell(self.state, row, self.trained))
        if (reason := agreed_reason(fault and str(fault))) is not None:
            self.save()
            raise fault or RuntimeError(reason)
        if self.saver is not None and self.saver.due(row.epoch, self._metric()):
            self.save()

    def ended_by(self, reason: BaseException) -> str:
        """Why training ended; what Ctrl-C would lose is saved."""
        if isinstance(reason, KeyboardInterrupt):
            self.rescue()
            return str(reason) or f"interrupted in epoch {len(self.rows) + 1}"
        if self.saver is None or not self.saver.numbers:
            return str(reason)
        return (
            f"{reason}; the last good checkpoint is {self.saver.path / str(self.saver.numbers[-1])}"
        )

    def rescue(self) -> None:
        """Save what is done, where it is worth a checkpoint."""
        # Of several processes each may stand elsewhere.
        if jax.process_count() == 1 and self.saver and (self.rows or self.saver.numbers):
            self.save()

    @property
    def what_is_kept(self) -> Kept:
        """What there is of a run that ended early, when no more is being written."""
        if self.saver is None:
            return Kept(len(self.rows))
        source, folder, numbers = self.program.train, self.saver.path, self.saver.numbers
        here = (self.position.epoch - 1) * source.batches + self.position.batch(source)
        checkpoint = folder / str(numbers[-1]) if numbers else None
        return Kept(len(self.rows), folder, checkpoint, numbers[-1:] == [here])

    @property
    def rate(self) -> float:
        """Samples per second in the last epoch; 0 before the first."""
        return self.rows[-1].samples_per_second if self.rows else 0.0

    def history(self, compile_seconds: float, stopped: str | None) -> History:
        """What has been done, and why no more."""
        best = None if self.best is None else self.best.epoch
        return History(self.rows, compile_seconds, stopped, best)

    def _check_metrics(self) -> None:
        """That there will be the metrics which are asked for, before hours of training."""
        terms = dict.fromkeys(self.program.step.objective, 0.0)
        row = Epoch(0, 0.0, train_terms=terms)
        if self.program.test is not None:
            row = row._replace(test_loss=0.0, test_terms=terms)
        if len(self.models) > 1:
            parts = ("train", "test") if self.program.test is not None else ("train",)
            named = [f"{part}_{name}" for part in parts for name in ("loss", *terms)]
            row = row._replace(deviation=dict.fromkeys(named, 0.0))
        if self.early_stopping is not None:
            self.early_stopping.value(row)
        best = None if self.saver is None else self.saver.checkpoints.best
        if best is not None and best not in row.metrics():
            known = ", ".join(row.metrics())
            raise ValueError(f"no metric {best!r} for the best checkpoint, expected one of {known}")

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
        """Begin to write a checkpoint of where training stands, if that is worth going on from."""
        # A loss is that before the update, which may have broken the parameters all the same.
        if self.saver is None or not finite(self.state.params):
            return
        epoch, chunk, *_ = self.position
        facts: dict[str, Any] = {
            "epoch": epoch,
            "chunk": chunk,
            "at an end": self._at_an_end,
            "rows": [row._asdict() for row in self.rows],
        }
        if self.best is not None and self.early_stopping is not None:
            facts["best"] = {
                "epoch": self.best.epoch,
                "value": self.best.value,
                "by": _criterion(self.early_stopping),
            }
        source = self.program.train
        number = (epoch - 1) * source.batches + self.position.batch(source)
        arrays = self._arrays(self._at_an_end, self.best is not None)
        self.saver.save(number, arrays, facts, self._metric())

    @property
    def _at_an_end(self) -> bool:
        """Whether an epoch has just been done, so that its state is the position's."""
        return self.position.chunk == 0 and int(self.position.progress.next) == 0

    def _arrays(self, at_an_end: bool, with_best: bool) -> dict[str, Any]:
        """What a checkpoint holds: nothing twice."""
        arrays: dict[str, Any] = {"position": self.position.arrays}
        if not at_an_end:
            arrays["ended"] = self.ended
        if with_best:
            arrays["best"] = self.ended if self.best is None else self.best.state
        return arrays

    def _best_of(self, stopping: EarlyStopping, arrays: Any, fact: Any) -> Best:
        """The best model so far of what is resumed, which may have had another criterion."""
        if fact is not None and fact["by"] == _criterion(stopping):
            return Best(arrays["best"], fact["epoch"], fact["value"])
        best = Best(self.ended)
        return best.after(stopping, self.rows[-1], self.ended) if self.rows else best

    def _metric(self) -> float | None:
        """What the best checkpoint is chosen by, where an epoch has just been done."""
        name = None if self.saver is None else self.saver.checkpoints.best
        if name is None or not self.rows or not self._at_an_end:
            return None
        value = self.rows[-1].metrics()[name]
        return float(self.rows[-1].train_loss if value is None else value)


def _fault_of(action: Callable[[], None]) -> RuntimeError | None:
    """Who failed to be told, if anyone: in one of several processes, all have to know of it."""
    try:
        action()
    except RuntimeError as fault:
        return fault
    return None


def _criterion(stopping: EarlyStopping) -> str:
    """What the best model is best in."""
    return f"{stopping.mode} {stopping.metric}"


@contextmanager
def saving(
    checkpoints: Checkpoints | None, program: Program, model: nnx.Module, state: Any
) -> Iterator[Saver | None]:
    """What writes the checkpoints, if there are to be any, until all of them are written."""
    if checkpoints is None:
        yield None
        return
    test = program.test
    identity = {
        "data": program.train.fingerprint(),
        "test data": "none" if test is None else test.fingerprint(),
        "objective": described(program.step.objective),
        "model": model_description(model),
        "batch size": str(program.train.batch_size),
        "random key": described(jax.random.key_data(state.key).tolist()),
    }
    saver = Saver(checkpoints, identity)
    try:
        yield saver
    finally:
        saver.finish()
