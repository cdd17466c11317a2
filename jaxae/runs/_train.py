"""Train: from a Config to a run directory."""

import shlex
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from jaxae.data import Dataset
from jaxae.evaluation import require_matplotlib, save_losses, save_reconstructions
from jaxae.models import Autoencoder, reconstruct
from jaxae.runs._config import Config
from jaxae.runs._directory import RunDirectory, existing_run, joined_run, new_run, write_json
from jaxae.runs._signals import TERMINATED, interruptible_once, terminable, uninterrupted
from jaxae.runs._summary import summarise
from jaxae.training import Checkpoints, History, Logger, fit, is_writer, together

SAVE_SECONDS = 60.0


def train(
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    save_seconds: float | None = SAVE_SECONDS,
    save_epochs: int | None = None,
    loggers: Sequence[Callable[[Path], Logger]] = (),
    show_progress: bool = True,
) -> dict[str, Any]:
    """Train what a Config describes, and leave its weights, metrics and pictures in a folder.

    SIGTERM ends it with what is done saved: `resume` goes on from there, and from where it was
    killed, to the same parameters as if nothing had happened. Of several processes that have joined
    (`jaxae.training.join`) all call it, with a folder that all can reach, and one of them writes.

    Args:
        config: what to do; where a run is resumed, what it was asked to do, perhaps for more
            epochs.
        out: the folder to write, new or empty; or that of the run to resume.
        resume: whether to go on with the run that is there.
        save_seconds: how often it is saved, about; None for not by time.
        save_epochs: after how many epochs it is saved as well; None for none.
        loggers: functions of the folder that make what is told each epoch's metrics besides
            metrics.jsonl, e.g. `TensorBoard`.
        show_progress: whether a progress bar is shown.

    Returns:
        The run's summary, as it stands in summary.json; after SIGTERM only `stopped` and `epochs`.

    Raises:
        FileNotFoundError: no such data, or no such run.
        ModuleNotFoundError: a package that the data or the pictures need is missing.
        OSError: after SIGTERM what is done could not be saved, e.g. because the disk is full; the
            last checkpoint is named.
        FloatingPointError: a loss was not finite before an epoch was done; nothing is written.
        ValueError: data that are broken or not those of the run, a batch size or layers that do not
            fit, or a folder that holds something; nothing is written then.
        KeyboardInterrupt: Ctrl-C before an epoch was done or saved; nothing is written.

    Warns:
        UserWarning: the run was done already, or ended early, and why; the disk is full.
    """
    start = time.perf_counter()
    require_matplotlib()  # the pictures come last, when the work would be lost
    with ExitStack() as during:
        terminated = during.enter_context(terminable())  # also while data are loaded
        config, dataset, model = together(_prepared, config)
        run = during.enter_context(_directory(config, out, resume))
        if done := together(_begun, run, config):
            warnings.warn(
                f"{out} has done all of its {config.epochs} epochs; resume it with more to go on",
                stacklevel=2,
            )
            return done
        with interruptible_once():
            made = together(_made, loggers if is_writer() else (), run.path)
            model, history = fit(
                model,
                dataset,
                **config.arguments(),
                checkpoints=Checkpoints(run.checkpoints, save_epochs, save_seconds),
                resume=resume,
                loggers=made,
                callbacks=[run.record] if is_writer() else [],
                stop=terminated,
                show_progress=show_progress,
            )
        if history.stopped == TERMINATED:
            _check_saved(history, out)
            return {"stopped": history.stopped, "epochs": len(history)}
        with uninterrupted():
            run.replace_checkpoint(model)
            summary = summarise(config, model, dataset, history)
            summary["wall_seconds"] = round(time.perf_counter() - start, 3)
            if is_writer():
                run.write_history(history)
                _draw(config, model, dataset, history, run)
                write_json(run.summary, summary)
    return summary


def _prepared(config: Config) -> tuple[Config, Dataset, Autoencoder]:
    """A Config that fits its data, these, and the model that it describes."""
    dataset = config.load_data()
    config = config.resolve(dataset)
    return config, dataset, config.build_model()


def _directory(config: Config, out: Path, resume: bool) -> AbstractContextManager[RunDirectory]:
    if not is_writer():
        return joined_run(out)
    return existing_run(out, config) if resume else new_run(out)


def _begun(run: RunDirectory, config: Config) -> dict[str, Any] | None:
    """Write what the run is asked to do; its summary, where all of that is done."""
    if is_writer():
        write_json(run.config, config.to_json())
    done = run.read_summary()
    return done if done and done["epochs"] == config.epochs else None


def _made(loggers: Sequence[Callable[[Path], Logger]], path: Path) -> list[Logger]:
    """The loggers of a folder; where one cannot be made, those before it are closed."""
    with ExitStack() as undo:
        made = []
        for make in loggers:
            made.append(make(path))
            undo.callback(made[-1].close)
        undo.pop_all()
    return made


def _check_saved(history: History, out: Path) -> None:
    """Refuse to call a run saved that is not."""
    kept = history.kept
    if kept is None or kept.saved:
        return
    if kept.checkpoint is None:
        raise OSError(f"{history.stopped}, and nothing could be saved to {kept.folder}")
    raise OSError(
        f"{history.stopped}, and what was done since {kept.checkpoint} could not be saved; to go "
        f"on from there: jaxae train --resume {shlex.quote(str(out))}"
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
