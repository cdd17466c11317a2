"""Checkpoints of a model's arrays, written and read by Orbax."""

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxae.training._run_checkpoint import is_of_a_run, model_arrays, of_the_model, run_model
from jaxae.training._state import Model


def save_checkpoint(path: str | os.PathLike, model: nnx.Module) -> None:
    """Write a model's arrays to a new directory, which appears only when it is complete.

    Of several processes all call it, and one writes.

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

    path = Path(path).absolute()
    if path.exists():
        raise ValueError(f"{path} exists, expected a new path for the checkpoint")
    arrays = nnx.to_pure_dict(nnx.state(model))
    if jax.process_count() > 1:  # each of which has its own copy, for one of them to write
        arrays = jax.tree.map(np.asarray, arrays)
    ocp.save(str(path), arrays)


def load_checkpoint(path: str | os.PathLike, model: Model) -> Model:
    """A copy of a model with the arrays that `save_checkpoint` wrote, or a run's `Checkpoints`.

    Args:
        path: the directory that was written; or one of a run's checkpoints, e.g. its best,
            "checkpoints/120", of which the parameters are read, or their average if there is one.
        model: a model of the same structure, which is not changed.

    Returns:
        The model with the saved arrays.

    Raises:
        FileNotFoundError: no checkpoint is there.
        ValueError: it is broken, or holds another model, with the first difference.
    """
    from orbax.checkpoint import v1 as ocp

    path = Path(path).absolute()
    if not path.is_dir():
        raise FileNotFoundError(f"no checkpoint at {path}; was its training killed?")
    graphdef, state = nnx.split(model)
    arrays = nnx.to_pure_dict(state)
    try:
        there = ocp.metadata(str(path)).metadata
        saved, expected = _shapes(there), _shapes(arrays)
        if of_a_run := is_of_a_run(saved):
            saved, expected = of_the_model(saved), _shapes(model_arrays(saved, model))
        if saved == expected and of_a_run:
            return run_model(path, there, model)
        if saved == expected:
            return nnx.merge(graphdef, ocp.load(str(path), arrays))
    # Orbax and its storage raise errors of many kinds, and some of them fill pages.
    except Exception as error:
        raise ValueError(f"{path}: broken checkpoint ({str(error)[:200]})") from error
    if not saved:
        raise ValueError(f"{path}: broken checkpoint (it lists no arrays)")
    raise ValueError(f"{path} holds another model: {_difference(saved, expected)}")


def _shapes(arrays: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): x.shape for path, x in leaves}


def _difference(saved: dict, expected: dict) -> str:
    for name in sorted({*saved, *expected}):
        if saved.get(name) != expected.get(name):
            return f"{name} is {saved.get(name)} there, expected {expected.get(name)}"
    raise AssertionError("the checkpoint holds the expected model")
