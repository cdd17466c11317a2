"""Training: a pure step, a compiled loop, and `fit`, which runs it.

>>> import jax, optax
>>> from jaxae.data import load
>>> from jaxae.losses import bce
>>> from jaxae.models import MLPAutoencoder
>>> from jaxae.training import fit
>>> digits = load("digits")
>>> model, history = fit(
...     MLPAutoencoder(digits.feature_shape, widths=(64, 8)),
...     digits,
...     loss=bce,
...     optimizer=optax.adam(1e-3),
...     epochs=3,
...     batch_size=32,
...     key=jax.random.key(0),
...     show_progress=False,
... )
>>> [row.epoch for row in history], history[-1].test_loss < history[0].test_loss
([1, 2, 3], True)
"""

from jaxae.training._checkpoint import (
    load_checkpoint as load_checkpoint,
    save_checkpoint as save_checkpoint,
)
from jaxae.training._checkpoint_plan import Checkpoints as Checkpoints
from jaxae.training._distributed import (
    is_writer as is_writer,
    join as join,
    together as together,
    wait_for_all as wait_for_all,
)
from jaxae.training._early_stopping import EarlyStopping as EarlyStopping
from jaxae.training._fit import fit as fit
from jaxae.training._history import Epoch as Epoch, History as History
from jaxae.training._layout import Layout as Layout
from jaxae.training._loggers import (
    Logger as Logger,
    TensorBoard as TensorBoard,
    WeightsAndBiases as WeightsAndBiases,
)
from jaxae.training._loop import Chunk as Chunk
from jaxae.training._samples import Source as Source
from jaxae.training._state import (
    State as State,
    initial_state as initial_state,
    trained_model as trained_model,
)
from jaxae.training._step import Step as Step
