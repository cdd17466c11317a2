"""Ctrl-C: what it does while packages are imported, and while a command runs."""

import os
import signal
import sys

INTERRUPTED = 130


def leave_on_interrupt() -> None:
    """Let Ctrl-C end the process, at once and in one line.

    For the time in which packages are imported: Python's KeyboardInterrupt inside the import of an
    extension module is swallowed, or becomes an ImportError.
    """
    _handle(_leave)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, as Python does."""
    _handle(signal.default_int_handler)


def _handle(handler) -> None:
    # A shell has its background jobs ignore the signal.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _leave(signum, frame) -> None:
    print("jaxae: interrupted", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)
