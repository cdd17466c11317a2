"""The audience: who is told of each epoch, between epochs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from jaxae.training._history import Epoch
from jaxae.training._loggers import Logger, log_epoch, name_of
from jaxae.training._state import State

Callback = Callable[[State, Epoch], None]
Monitor = Callable[[Any, Epoch], None]


class Audience(NamedTuple):
    """Who is told of each epoch.

    Args:
        loggers: are told its metrics.
        monitors: functions of the trained model and the epoch's row.
        callbacks: functions of the State and the epoch's row.
    """

    loggers: Sequence[Logger] = ()
    monitors: Sequence[Monitor] = ()
    callbacks: Sequence[Callback] = ()

    def tell(self, state: State, row: Epoch, trained: Callable[[State], Any]) -> None:
        """Tell everyone of an epoch, one after the other: callbacks, monitors, then loggers.

        Loggers, which may reach over a network, come last: where one fails, nobody else lacks the
        epoch.

        Args:
            state: after the epoch.
            row: the epoch's.
            trained: makes the model of a state.

        Raises:
            RuntimeError: who failed to be told, with its name.
        """
        # Before anyone can fail: of several processes all must ask for it.
        model = trained(state) if self.monitors else None
        for callback in self.callbacks:
            with _telling("callback", callback, row):
                callback(state, row)
        for monitor in self.monitors:
            with _telling("monitor", monitor, row):
                monitor(model, row)
        for logger in self.loggers:
            with _telling("logger", logger, row):
                log_epoch([logger], row)


@contextmanager
def _telling(what: str, who: Any, row: Epoch) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise RuntimeError(
            f"{what} {name_of(who)} failed after epoch {row.epoch}: {type(error).__name__}: {error}"
        ) from error
