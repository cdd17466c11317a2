"""The entry point: one line for what went wrong, and exit code 2."""

import sys
import warnings


def main() -> None:
    """Run the command line; exit 0 if it did what was asked, 2 with one line if it could not."""
    warnings.showwarning = _show_warning
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(130)
    except InterruptedError as error:
        _say(str(error))
        sys.exit(130)
    except (ValueError, TypeError, OSError, MemoryError, ModuleNotFoundError) as error:
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
        return get_command(app).main(prog_name="jaxae", standalone_mode=False) or 0
    except TyperException as error:
        _say(f"error: {error.format_message()} (see --help)")
        return 2


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    _say(f"warning: {_one_line(message)}")


def _say(text: str) -> None:
    print(f"jaxae: {text}", file=sys.stderr)
