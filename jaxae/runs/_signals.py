"""Signals: SIGTERM asks training to end, and Ctrl-C waits while results are written."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminable() -> Iterator[Callable[[], str | None]]:
    """While the context lasts, SIGTERM ends nothing, but is told to who asks.

    Yields:
        What says "SIGTERM" once it has come, and None before.
    """
    received: list[str] = []
    with _handled(signal.SIGTERM, lambda *_: received.append("SIGTERM")):
        yield lambda: received[0] if received else None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C, pressed again or late, does not stop the writing of the epochs that are done."""
    with _handled(signal.SIGINT, signal.SIG_IGN):
        yield


@contextmanager
def _handled(number: signal.Signals, handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # which gets all signals
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
