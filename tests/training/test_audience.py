"""Who is told of an epoch, in which order, and what becomes of those after one who fails."""

import pytest

from jaxae.training import Epoch, State
from jaxae.training._audience import Audience

ROW = Epoch(2, 0.5)
STATE = State({}, {}, (), None, 0, 0)


class Noted:
    """A logger that notes when it is told, and may fail."""

    def __init__(self, told, error=None):
        self.told, self.error = told, error

    def log(self, epoch, metrics):
        self.told.append("logger")
        if self.error is not None:
            raise self.error

    def close(self):
        pass


def audience(told, error=None):
    return Audience(
        [Noted(told, error)],
        [lambda model, row: told.append("monitor")],
        [lambda state, row: told.append("callback")],
    )


def test_callbacks_are_told_first_and_loggers_last():
    told = []
    audience(told).tell(STATE, ROW, lambda state: None)
    assert told == ["callback", "monitor", "logger"]


def test_monitors_share_a_model_that_is_made_before_anyone_can_fail():
    seen = []
    monitors = [lambda model, row: seen.append(model)] * 2
    Audience((), monitors, [lambda state, row: seen.append("callback")]).tell(
        STATE, ROW, lambda state: seen.append("made") or "model"
    )
    assert seen == ["made", "callback", "model", "model"]


def test_where_a_logger_fails_everyone_else_has_been_told():
    told = []
    message = "logger Noted failed after epoch 2: OSError: no network"
    with pytest.raises(RuntimeError, match=message):
        audience(told, OSError("no network")).tell(STATE, ROW, lambda state: None)
    assert told == ["callback", "monitor", "logger"]
