"""Checkpoints of a model's arrays, written and read by Orbax."""

import os
from pathlib import Path

from flax import nnx

from jaxae.training._state import Model


def save_checkpoint(path: str | os.PathLike, model: nnx.Module) -> None:
    """Write a model's arrays to a new directory, which appears only when it is complete.

    Args:
        path: the directory, which must not exist.
        model: any NNX module.

    Raises:
        ValueError: the directory exists.

    Example:
        >>> import tempfile
        >>> from jaxae.models import MLPAutoencoder
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_checkpoint(f"{folder}/checkpoint", MLPAutoencoder((8, 8), (4,)))
        ...     model = load_checkpoint(f"{folder}/checkpoint", MLPAutoencoder((8, 8), (4,)))
        >>> model.feature_shape
        (8, 8)
    """
    # Orbax takes 2 s to import: only where a file is written or read.
    from orbax.checkpoint import v1 as ocp

    ocp.save(str(Path(path).absolute()), nnx.to_pure_dict(nnx.state(model)))


def load_checkpoint(path: str | os.PathLike, model: Model) -> Model:
    """A copy of a model with the arrays that `save_checkpoint` wrote.

    Args:
        path: the directory that was written.
        model: a model of the same structure, which is not changed.

    Returns:
        The model with the saved arrays.

    Raises:
        FileNotFoundError: no checkpoint is there.
        ValueError: it holds another model.
    """
    from orbax.checkpoint import v1 as ocp

    path = Path(path).absolute()
    if not path.is_dir():
        raise FileNotFoundError(f"no checkpoint at {path}")
    graphdef, arrays = nnx.split(model)
    return nnx.merge(graphdef, ocp.load(str(path), nnx.to_pure_dict(arrays)))
