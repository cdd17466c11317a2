"""jaxae: reconstruction losses that mean exactly what they say, and autoencoders trained with them.

>>> import jax, jaxae
>>> digits = jaxae.data.load("digits")
>>> model = jaxae.models.MLPAutoencoder(digits.feature_shape, widths=(32, 8))
>>> model, history = jaxae.fit(model, digits, loss=jaxae.losses.bce, epochs=2, show_progress=False)
>>> history[-1].epoch
2

Each room is imported when it is first used, so that `import jaxae` is quick.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxae import (
        data as data,
        evaluation as evaluation,
        losses as losses,
        models as models,
        objectives as objectives,
        runs as runs,
        training as training,
    )
    from jaxae.training import fit as fit

__version__ = "0.1.0"

_ROOMS = ("data", "evaluation", "losses", "models", "objectives", "runs", "training")


def __getattr__(name: str):
    if name in _ROOMS:
        return importlib.import_module(f"jaxae.{name}")
    if name == "fit":
        return importlib.import_module("jaxae.training").fit
    raise AttributeError(f"module 'jaxae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_ROOMS, "fit"]
