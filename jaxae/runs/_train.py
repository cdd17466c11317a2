"""Train: from a Config to a run directory."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import optax

from jaxae.data import Dataset, load
from jaxae.evaluation import require_matplotlib, save_losses, save_reconstructions
from jaxae.models import Autoencoder, reconstruct
from jaxae.runs._config import Config
from jaxae.runs._directory import RunDirectory, new_run, write_json
from jaxae.runs._summary import summarise
from jaxae.training import History, fit, save_checkpoint


def train(config: Config, out: Path, *, show_progress: bool = True) -> dict[str, Any]:
    """Train what a Config describes, and leave its weights, metrics and pictures in a folder.

    Args:
        config: what to do.
        out: the folder to write, new or empty.
        show_progress: whether a progress bar is shown.

    Returns:
        The run's summary, as it stands in summary.json.

    Raises:
        FileNotFoundError: no such data.
        ModuleNotFoundError: a package that the data or the pictures need is missing.
        FloatingPointError: a loss was not finite before an epoch was done; nothing is written.
        ValueError: data that are broken, a batch size or layers that do not fit, or a folder that
            holds something; nothing is written then.
        KeyboardInterrupt: Ctrl-C before an epoch was done; nothing is written.
    """
    start = time.perf_counter()
    require_matplotlib()  # the pictures come last, when the work would be lost
    dataset = load(config.data, config.data_dir)
    config = config.resolve(dataset)
    model = config.build_model()
    with new_run(out) as run:
        write_json(run.config, config.to_json())
        model, history = _fit(config, model, dataset, run, show_progress)
        with _uninterrupted():
            run.write_history(history)
            save_checkpoint(run.checkpoint, model)
            _draw(config, model, dataset, history, run)
            summary = summarise(config, model, dataset, history)
            summary["wall_seconds"] = round(time.perf_counter() - start, 3)
            write_json(run.summary, summary)
    return summary


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C, pressed again or late, does not stop the writing of the epochs that are done."""
    if threading.current_thread() is not threading.main_thread():  # which gets all signals
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _fit(
    config: Config,
    model: Autoencoder,
    dataset: Dataset,
    run: RunDirectory,
    show_progress: bool,
) -> tuple[Autoencoder, History]:
    assert config.epochs is not None
    return fit(
        model,
        dataset,
        loss=config.build_loss(),
        optimizer=optax.adam(config.learning_rate),
        epochs=config.epochs,
        batch_size=config.batch_size,
        key=jax.random.key(config.seed),
        callbacks=[lambda state, row: run.append_epoch(row)],
        show_progress=show_progress,
    )


def _draw(
    config: Config, model: Autoencoder, dataset: Dataset, history: History, run: RunDirectory
) -> None:
    inputs = dataset.test[:10]
    save_reconstructions(run.reconstructions, inputs, reconstruct(model, inputs))
    test_losses = [row.test_loss for row in history if row.test_loss is not None]
    total = getattr(config.build_loss(), "unit", None) == "total"
    name = f"{config.loss}, the sum over all samples" if total else config.loss
    save_losses(run.losses, name, [row.train_loss for row in history], test_losses)
