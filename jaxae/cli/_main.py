"""The entry point: one line for what went wrong, and exit code 2."""

import logging
import os
import sys
import warnings
from pathlib import Path

from jaxae.cli._interrupt import INTERRUPTED, leave_on_interrupt

FAULTS = (ValueError, TypeError, OSError, MemoryError, FloatingPointError, ModuleNotFoundError)
# How jax names a lack of memory, in a RuntimeError.
OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"


def main() -> None:
    """Run the command line; exit 0 if it did what was asked, 2 with one line if it could not."""
    warnings.showwarning = _show_warning
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax logs what it also raises
    leave_on_interrupt()
    _keep_caches_inside()
    try:
        sys.exit(_run())
    except FAULTS as error:
        _say(f"error: {_one_line(error)}")
        sys.exit(2)
    except RuntimeError as error:
        if OUT_OF_MEMORY not in str(error):
            raise
        _say(f"error: {_one_line(error)}")
        sys.exit(2)


def _run() -> int:
    try:
        from typer import TyperException
        from typer.main import get_command
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the command line needs typer: pip install 'jaxae[cli]'", name="typer"
        ) from error
    from jaxae.cli._app import app

    try:
        code = get_command(app).main(prog_name="jaxae", standalone_mode=False) or 0
    except TyperException as error:
        if message := error.format_message():  # none if help was asked for by giving no command
            _say(f"error: {_one_line(message)} (see --help)")
        return 2
    if code == INTERRUPTED:  # typer's answer to Ctrl-C
        _say("interrupted")
    return code


def _keep_caches_inside() -> None:
    """Have matplotlib keep its font cache in the virtual environment, not in the home folder."""
    if sys.prefix != sys.base_prefix:
        os.environ.setdefault("MPLCONFIGDIR", str(Path(sys.prefix, "cache", "matplotlib")))


def _one_line(message: object) -> str:
    return " ".join(str(message).split()) or type(message).__name__


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    _say(f"warning: {_one_line(message)}")


def _say(text: str) -> None:
    print(f"jaxae: {text}", file=sys.stderr)
