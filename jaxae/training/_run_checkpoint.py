"""One of a run's checkpoints, read for its model alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from jaxae.training._held import flat, held_checksum, unflat
from jaxae.training._state import Model

# Where `Saver` puts a State, and what tells its checkpoints from others.
STATE, CHECKSUM = "position.0.state", "checksum"


def is_of_a_run(names: Iterable[str]) -> bool:
    """Whether a checkpoint of arrays of these names is one of a run's."""
    return {CHECKSUM, f"{STATE}.step"} <= set(names)


def model_arrays(names: Iterable[str], model: nnx.Module) -> dict[str, Any]:
    """A model's arrays as a run's checkpoint names them; averaged ones where it has an average."""
    like, _ = _like(names, model)
    return {f"{STATE}.{name}": x for name, x in flat(like).items()}


def of_the_model(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a run's arrays that are in its model."""
    parts = tuple(f"{STATE}.{part}." for part in (_part(shapes), "rest"))
    return {name: x for name, x in shapes.items() if name.startswith(parts)}


def run_model(path: Path, there: Mapping[str, Any], model: Model) -> Model:
    """A copy of a model with the parameters of a run's checkpoint, or their average.

    Args:
        path: the checkpoint's folder.
        there: shape and dtype of all that it holds, by name.
        model: of the run's structure.

    Raises:
        ValueError: numbers that are not those that were written.
    """
    from orbax.checkpoint import v1 as ocp

    one = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    wanted = {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one) for name, x in there.items()
    }
    read = ocp.load(str(path), wanted)
    if int(read.pop(CHECKSUM)) != int(held_checksum(read)):
        raise ValueError("its numbers are not those that were written")
    like, graphdef = _like(there, model)
    held = {name.removeprefix(f"{STATE}."): x for name, x in read.items()}
    arrays = unflat(held, like)
    return nnx.merge(graphdef, *arrays.values())


def _like(names: Iterable[str], model: nnx.Module) -> tuple[dict[str, Any], Any]:
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    return {_part(names): nnx.as_pure(params), "rest": nnx.as_pure(rest)}, graphdef


def _part(names: Iterable[str]) -> str:
    """Which parameters of a State count after training."""
    averaged = any(name.startswith(f"{STATE}.average.") for name in names)
    return "average" if averaged else "params"
