"""What must be the same where training goes on: of a run, what tells it from others."""

import re
from collections.abc import Mapping
from typing import Any

from flax import nnx

CONTEXT = 60


def described(x: Any) -> str:
    """What something is, without the addresses of functions, which are others in each process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(x))


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
        name: getattr(x, "__name__", None) or described(x)
        for name, x in sorted(vars(module).items())
        if not name.startswith("_") and not isinstance(x, (nnx.Module, nnx.Variable))
    }
    return ", ".join(f"{name}={x}" for name, x in held.items())


def _around(text: str, first: int) -> str:
    """A text's part around its first character that is another."""
    begin, end = max(0, first - CONTEXT), first + CONTEXT
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"
