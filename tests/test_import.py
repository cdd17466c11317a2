import ast
import importlib
import inspect
import subprocess
import sys
import types
from pathlib import Path

import pytest

import jaxae

PACKAGE = Path(jaxae.__file__).parent
# The rooms, and those that each may use, in the order of the design.
MAY_USE = {
    "losses": set(),
    "models": {"losses"},
    "objectives": {"losses"},
    "data": set(),
    "training": {"objectives", "losses"},
    "evaluation": {"objectives", "models", "losses"},
    "runs": {"losses", "models", "objectives", "data", "training", "evaluation"},
    "cli": {"runs", "training"},
}
PUBLIC = [room for room in MAY_USE if room != "cli"]


# One after another in one process, and what must not be there after each.
IMPORTS = {
    "import jaxae": {"jax", "numpy", "flax", "optax", "orbax", "matplotlib", "typer"},
    "import jaxae.data": {"jax", "flax", "PIL", "pooch"},
    "import jaxae.losses": {"flax", "optax", "orbax", "matplotlib", "typer", "scipy"},
    "from jaxae import fit": {"orbax", "matplotlib", "typer"},
    "import jaxae.runs": {"orbax", "matplotlib", "typer", "PIL", "pooch"},
}


def test_an_import_leaves_out_what_it_does_not_need():
    code = "; ".join(f"{statement}; print(*sys.modules)" for statement in IMPORTS)
    command = [sys.executable, "-c", f"import sys; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = [{name.partition(".")[0] for name in line.split()} for line in done.stdout.splitlines()]
    assert len(after) == len(IMPORTS)
    for modules, (statement, left_out) in zip(after, IMPORTS.items(), strict=True):
        assert modules & left_out == set(), statement
        assert "jaxae" in modules


def rooms_of(module):
    """The rooms of jaxae that a file imports, wherever in the file, other than its own."""
    names = []
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    found = {name.split(".")[1] for name in names if name.startswith("jaxae.")}
    return (found & MAY_USE.keys()) - {module.relative_to(PACKAGE).parts[0]}


@pytest.mark.parametrize("room", MAY_USE)
def test_a_room_uses_those_below_it_and_never_one_above(room):
    modules = sorted((PACKAGE / room).rglob("*.py"))
    assert modules
    assert {str(m): sorted(rooms_of(m) - MAY_USE[room]) for m in modules if rooms_of(m)} == {
        str(m): [] for m in modules if rooms_of(m)
    }


def test_all_rooms_are_known_here():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == MAY_USE.keys()


@pytest.mark.parametrize("room", PUBLIC)
def test_a_room_is_an_attribute_of_the_package(room):
    assert getattr(jaxae, room) is importlib.import_module(f"jaxae.{room}")
    assert room in dir(jaxae)


def test_fit_is_an_attribute_of_the_package():
    assert jaxae.fit is jaxae.training.fit
    assert "fit" in dir(jaxae)


def test_nonsense_is_no_attribute_of_the_package():
    with pytest.raises(AttributeError, match="module 'jaxae' has no attribute 'nonsense'"):
        jaxae.nonsense  # noqa: B018


def faces():
    """Every public name of every room, by its path."""
    return {
        f"{room}.{name}": thing
        for room in PUBLIC
        for name, thing in vars(importlib.import_module(f"jaxae.{room}")).items()
        if not name.startswith("_") and not isinstance(thing, types.ModuleType)
    }


def test_a_public_name_has_a_docstring():
    def bare(path, thing):  # dataclasses and NamedTuples without one get their signature
        text = inspect.getdoc(thing) or ""
        return not text or text.startswith(f"{path.split('.')[1]}(")

    assert [path for path, thing in faces().items() if bare(path, thing)] == []


def test_a_public_name_has_one_path():
    paths = {}
    for path, thing in faces().items():
        paths.setdefault(id(thing), []).append(path)
    assert [found for found in paths.values() if len(found) > 1] == []


def test_a_rooms_files_are_private():
    public = [path.name for path in PACKAGE.glob("*/*.py") if not path.name.startswith("_")]
    assert public == []
