import re
import warnings

import pytest

import jaxae as package
from jaxae.cli import _app

OPTIONS = {
    *("data", "data-dir", "model", "layers", "loss"),
    *("epochs", "batch-size", "learning-rate", "seed", "out"),
    *("microbatch-size", "compute-dtype", "clip", "average-decay", "patience", "on-nonfinite"),
    *("resume", "checkpoint-seconds", "checkpoint-epochs", "tensorboard", "wandb"),
}
HEAVY = "{'jax', 'jaxlib', 'numpy', 'flax', 'optax', 'orbax', 'matplotlib'}"
MISSING = "import sys; sys.modules['{}'] = None"


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["evaluate", "--help"]])
def test_help_answers_without_the_packages_that_train(arguments, process):
    first = f"import atexit, sys; atexit.register(lambda: print({HEAVY} & sys.modules.keys()))"
    result = process(*arguments, first=first)
    assert (result.code, result.err) == (0, "")
    *text, imported = result.out.splitlines()
    assert any("Usage: jaxae" in line for line in text)
    assert imported == "set()"


def test_help_names_every_option(jaxae):
    named = re.findall(r"--([a-z-]+)", jaxae("train", "--help").out)
    assert set(named) >= OPTIONS


def test_no_command_gets_help(jaxae):
    result = jaxae()
    assert result.code == 2
    assert "Usage: jaxae" in result.out + result.err
    assert "error" not in result.out + result.err


def test_the_version_is_printed(jaxae):
    assert jaxae("--version") == (0, f"{package.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["--nonsense"], "No such option: --nonsense"),
        (["evaluate"], "Missing argument 'run'."),
    ],
)
def test_words_that_are_not_understood_get_one_line(arguments, message, jaxae):
    code, out, err = jaxae(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"jaxae: error: {message}")
    assert err.endswith(" (see --help)\n")
    assert err.count("\n") == 1


def test_a_process_of_its_own_ends_with_one_line_too(process):
    code, out, err = process("train", "--data", "mnits")
    assert (code, out) == (2, "")
    assert re.fullmatch("jaxae: error: unknown data set 'mnits', did you mean 'mnist'[?] .*\n", err)


@pytest.mark.parametrize("package", ["typer", "matplotlib"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(package, process):
    code, out, err = process("train", first=MISSING.format(package))
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"jaxae: error: .* needs? {package}: pip install 'jaxae\[cli\]'\n", err)


@pytest.fixture
def fails(monkeypatch, jaxae):
    """Runs a command that fails with an error, or gives a warning and ends well."""

    def run(failure):
        def evaluate(path):
            if isinstance(failure, Warning):
                warnings.warn(failure, stacklevel=1)
                return {}
            raise failure

        monkeypatch.setattr("jaxae.runs.evaluate", evaluate)
        return jaxae("evaluate", "run")

    return run


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\n  b"), "jaxae: error: a b\n"),
        (TypeError("a"), "jaxae: error: a\n"),
        (PermissionError(13, "Permission denied", "x"), "jaxae: error: [Errno 13] Permission"),
        (MemoryError(), "jaxae: error: MemoryError\n"),
        (FloatingPointError("a"), "jaxae: error: a\n"),
        (ModuleNotFoundError("a"), "jaxae: error: a\n"),
        (RuntimeError("RESOURCE_EXHAUSTED: a"), "jaxae: error: RESOURCE_EXHAUSTED: a\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_is_one_line_and_exit_code_2(error, line, fails):
    code, out, err = fails(error)
    assert (code, out) == (2, "")
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_an_interrupt_is_one_line_and_exit_code_130(fails):
    assert fails(KeyboardInterrupt()) == (130, "", "jaxae: interrupted\n")


@pytest.mark.parametrize("bug", [KeyError("a"), RuntimeError("a"), ZeroDivisionError("a")])
def test_a_bug_keeps_its_traceback(bug, fails):
    with pytest.raises(type(bug), match="a"):
        fails(bug)


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(fails):
    assert fails(UserWarning("a\n  b")) == (0, "", "jaxae: warning: a b\n")


def test_the_app_has_the_two_commands():
    names = [command.callback.__name__ for command in _app.app.registered_commands]
    assert names == ["train", "evaluate"]
