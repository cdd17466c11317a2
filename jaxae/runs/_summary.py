"""What a run came to: summary.json."""

from typing import Any

import jax
import numpy as np
from flax import nnx

import jaxae
from jaxae.data import Dataset, Stream
from jaxae.evaluation import evaluate, pca_mse
from jaxae.models import Autoencoder
from jaxae.runs._config import Config
from jaxae.training import History


def summarise(
    config: Config, model: Autoencoder, dataset: Dataset, history: History
) -> dict[str, Any]:
    """A run's configuration, its final losses and metrics, its speed and its versions.

    Args:
        config: what the run was asked to do, resolved.
        model: the trained model.
        dataset: what it was trained and tested on.
        history: one epoch or more.

    Returns:
        Plain values by name. `train_loss` and `test_loss` are the objective in the last epoch, the
        former before each update; `weights_epoch` is the epoch whose weights were kept, the best
        with `patience` and else the last; `test_bce` and the like are losses of these weights over
        the test samples; `pca_mse` is what PCA with a code of the same size reaches on them (fitted
        to the first training samples, at most 10,000 or 64 MiB, where they stream);
        `samples_per_second` leaves compilation and evaluation out.
    """
    last, device = history[-1], jax.devices()[0]
    assert config.layers is not None
    return {
        **config.to_json(),
        "epochs": len(history),
        "weights_epoch": history.best or len(history),
        "stopped": history.stopped,
        "scaling": dataset.scaling,
        "train_samples": len(dataset.train),
        "test_samples": len(dataset.test),
        "parameters": count_parameters(model),
        "device": device.device_kind,
        "jax_version": jax.__version__,
        "jaxae_version": jaxae.__version__,
        "train_loss": last.train_loss,
        "test_loss": last.test_loss,
        **evaluate_test(model, dataset),
        "pca_mse": pca_mse(_for_pca(dataset.train), dataset.test, config.layers[-1]),
        "samples_per_second": round(history.samples_per_second),
        "compile_seconds": round(history.compile_seconds, 3),
    }


def _for_pca(train: np.ndarray | Stream) -> np.ndarray:
    """What PCA is fitted to: all training samples, or of a stream the first ones."""
    return (
        train.read(np.arange(min(len(train), train.kept))) if isinstance(train, Stream) else train
    )


def evaluate_test(model: Autoencoder, dataset: Dataset) -> dict[str, float]:
    """The default losses over the test samples, as `test_bce`, `test_mse` and so on."""
    return {f"test_{name}": value for name, value in evaluate(model, dataset.test).items()}


def count_parameters(model: Autoencoder) -> int:
    """How many numbers are trained."""
    return sum(x.size for x in jax.tree.leaves(nnx.state(model, nnx.Param)))
