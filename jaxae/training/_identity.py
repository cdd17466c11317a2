"""What must be the same where training goes on: of a run, what tells it from others."""

import dataclasses
import functools
import re
import types
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

CONTEXT = 60
# Whose functions are what their names say, in all versions of them.
LIBRARIES = ("builtins", "flax", "jax", "jaxae", "jaxlib", "numpy", "optax")
# What of a module changes: its arrays, and its sources of random numbers, which count draws.
STATEFUL = (nnx.Module, nnx.Variable, nnx.Rngs, nnx.RngStream)


def described(x: Any, above: tuple[int, ...] = ()) -> str:
    """What something is, the same in each process: by value, and without addresses.

    A library's function is its name, and anybody else's, or a lambda, its code; either with what it
    closes over. So another version of Python makes other functions of one's own.

    Args:
        x: a function, a number, an array, a dataclass or collection of them, or anything else.
        above: the ids of what it is part of.

    Example:
        >>> described({"rate": functools.partial(max, 0.5)})
        "{'rate': partial(max, (0.5), {})}"
    """
    if id(x) in above:
        return "itself"
    part = functools.partial(described, above=(*above, id(x)))
    if callable(x) and _of_a_library(x):
        return x.__qualname__
    if isinstance(x, types.FunctionType):
        return _function(x, part)
    if isinstance(x, types.MethodType):
        return f"{part(x.__func__)} of {part(x.__self__)}"
    if isinstance(x, functools.partial):
        return f"partial({part(x.func)}, {part(x.args)}, {part(x.keywords)})"
    if isinstance(x, jax.Array | np.ndarray):
        return _array(x)
    if isinstance(x, nnx.Module):
        return model_description(x)
    if (wrapped := getattr(x, "__wrapped__", None)) is not None:  # e.g. by jax.jit
        return part(wrapped)
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        fields = {f.name: getattr(x, f.name) for f in dataclasses.fields(x) if f.compare}
        return f"{type(x).__qualname__}({_named(fields, part)})"
    return _collection(x, part) or re.sub(r" at 0x[0-9a-f]+", "", repr(x))


def model_description(model: nnx.Module) -> str:
    """A model's modules with what they are made of besides arrays, e.g. their activations.

    Flax's own modules are left out: their arrays' shapes tell them apart, and their attributes are
    others from version to version.
    """
    modules = [
        (".".join(map(str, path)), x)
        for path, x in nnx.iter_graph(model)
        if isinstance(x, nnx.Module) and not type(x).__module__.startswith("flax.")
    ]
    return "; ".join(f"{path} {type(x).__name__}({_constants(x)})".strip() for path, x in modules)


def difference(there: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """The first thing that is not the same, with both values; None if all is."""
    for name in sorted({*there, *here}):
        a, b = there.get(name, "none"), here.get(name, "none")
        if a != b:
            first = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0)
            return f"{name}: {_around(a, first)} there, {_around(b, first)} here"
    return None


def _constants(module: nnx.Module) -> str:
    held = {
        name: x
        for name, x in sorted(vars(module).items())
        if not name.startswith("_") and not isinstance(x, STATEFUL)
    }
    return _named(held, described)


def _function(x: types.FunctionType, part: Callable[[Any], str]) -> str:
    held = {"defaults": x.__defaults__, "keywords": x.__kwdefaults__}
    held = {name: value for name, value in held.items() if value}
    cells = zip(x.__code__.co_freevars, x.__closure__ or (), strict=True)
    # What is defined after the function, if ever, has no content before.
    held |= {name: cell.cell_contents for name, cell in cells if cell != types.CellType()}
    code = "" if _of_a_library(x, local=True) else f"#{_code(x.__code__, part):08x}"
    return f"{x.__qualname__}{code}" + (f"({_named(held, part)})" if held else "")


def _code(code: types.CodeType, part: Callable[[Any], str]) -> int:
    """A checksum of what a function does."""
    constants = [
        _code(x, part) if isinstance(x, types.CodeType) else part(x) for x in code.co_consts
    ]
    return zlib.crc32(repr((code.co_code, code.co_names, constants)).encode())


def _of_a_library(x: Any, *, local: bool = False) -> bool:
    """Whether it is a library's function with a name, which may be local to another function."""
    name, module = getattr(x, "__qualname__", "<lambda>"), getattr(x, "__module__", None) or ""
    known = name if local else name.replace("<locals>", "<lambda>")
    return "<lambda>" not in known and module.partition(".")[0] in LIBRARIES


def _array(x: jax.Array | np.ndarray) -> str:
    if jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    held = np.asarray(x)
    return f"{held.dtype}{list(held.shape)}#{zlib.crc32(held.tobytes()):08x}"


def _collection(x: Any, part: Callable[[Any], str]) -> str | None:
    """Its parts between its brackets, those of a set in one order; None for anything else."""
    if isinstance(x, dict):
        return "{" + ", ".join(f"{part(name)}: {part(y)}" for name, y in x.items()) + "}"
    if isinstance(x, set | frozenset):
        return "{" + ", ".join(sorted(map(part, x))) + "}"
    if isinstance(x, list | tuple):
        return ("[{}]" if isinstance(x, list) else "({})").format(", ".join(map(part, x)))
    return None


def _named(held: Mapping[str, Any], part: Callable[[Any], str]) -> str:
    return ", ".join(f"{name}={part(x)}" for name, x in held.items())


def _around(text: str, first: int) -> str:
    """A text's part around its first character that is another."""
    begin, end = max(0, first - CONTEXT), first + CONTEXT
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"
