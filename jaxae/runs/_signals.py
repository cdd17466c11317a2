"""Signals: SIGTERM asks training to end, and what Ctrl-C has ended is written undisturbed."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

TERMINATED = "stopped by SIGTERM"


@contextmanager
def terminable() -> Iterator[Callable[[], str | None]]:
    """While the context lasts, SIGTERM ends nothing, but is told to who asks.

    Yields:
        What says so once it has come, and None before.
    """
    received: list[str] = []
    with _handled(signal.SIGTERM, lambda *_: received.append(TERMINATED)):
        yield lambda: received[0] if received else None


@contextmanager
def interruptible_once() -> Iterator[None]:
    """Ctrl-C ends training, and pressed again it does not end the saving of what is done."""

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    # A shell has its background jobs ignore the signal.
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    with nullcontext() if ignored else _handled(signal.SIGINT, interrupt):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C, pressed late, does not stop the writing of the epochs that are done."""
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
