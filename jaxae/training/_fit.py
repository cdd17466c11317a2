"""Fit: the only Python loop of training, and it is thin."""

import dataclasses
import functools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import optax
from flax import nnx
from jaxtyping import PRNGKeyArray

from jaxae.losses import BaseLoss
from jaxae.objectives import Objective, Term, reconstruction
from jaxae.training._arguments import check_arguments, checked_seeds
from jaxae.training._audience import Audience, Callback, Monitor
from jaxae.training._checkpoint_plan import Checkpoints
from jaxae.training._distributed import agreed_reason, is_writer
from jaxae.training._early_stopping import EarlyStopping
from jaxae.training._ensemble import Ensemble, Keys, initial_states
from jaxae.training._epoch import Program, Stopped, Watch, run_epoch, start
from jaxae.training._history import History
from jaxae.training._layout import Layout
from jaxae.training._loggers import Logger, closing_loggers
from jaxae.training._progress import progress_bar
from jaxae.training._samples import Source, source_for_test, source_of
from jaxae.training._session import Session, saving
from jaxae.training._state import Model, State, initial_state
from jaxae.training._step import Step
from jaxae.training._streamed import Streamed


@closing_loggers
def fit(
    model: Model | Callable[[nnx.Rngs], Model],
    data: Any,
    *,
    loss: BaseLoss | None = None,
    objective: Mapping[str, Term] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    epochs: int = 10,
    batch_size: int | None = None,
    key: PRNGKeyArray | None = None,
    seeds: int | Keys | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    microbatch_size: int | None = None,
    compute_dtype: Any = None,
    clip: float | None = None,
    average_decay: float | None = None,
    constraint: Callable[[Any], Any] | None = None,
    on_nonfinite: str = "stop",
    step: Callable[..., Step] = Step,
    layout: Layout | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    early_stopping: EarlyStopping | None = None,
    before: Sequence[Callable[[Any, Objective, Any], None]] = (),
    monitors: Sequence[Monitor] = (),
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[Callback] = (),
    stop: Callable[[], str | None] = lambda: None,
    show_progress: bool = True,
) -> tuple[Any, History]:
    """Train an autoencoder to reconstruct its data.

    Each epoch visits every sample once, in a new order. The ragged last batch counts at its true
    weight: it is padded, and padding reaches nothing. The same key gives the same result, bit for
    bit, on the same devices and versions, also where training was stopped and resumed.

    Besides the data and a batch's activations a device holds the State (the parameters and, with
    Adam, two arrays as large) up to four times: as it is, as it becomes, as it was when the last
    epoch ended, which is what is kept where the next one fails, and with `early_stopping` the best.

    Args:
        model: an autoencoder, written for one sample; it is not changed. With `seeds`, a function
            that makes one from `nnx.Rngs`.
        data: samples of shape (N, *feature_shape), or a Dataset, whose test samples are then
            evaluated after each epoch. Either may be streams, e.g. `jaxae.data.stream(path)`.
        loss: what is minimised between reconstruction and data, e.g. `jaxae.losses.bce`.
        objective: named terms, instead of a loss.
        optimizer: an optax gradient transformation; Adam with a learning rate of 1e-3 by default.
            The same object again does not compile again.
        epochs: how often the data are visited.
        batch_size: how many samples make one update, 100 by default; all if there are fewer.
        key: a random key for order and noise; `jax.random.key(0)` by default.
        seeds: how many models to train at once in one program, each from a key of its own; or these
            keys, shape (K,). The history then holds means and standard deviations. Where one of
            them diverges training ends for all, and its index is said.
        hyperparameters: one value for each of them, by name, of an optimizer that was made by
            `optax.inject_hyperparams`, e.g. {"learning_rate": [1e-2, 1e-3]}.
        microbatch_size: how many samples of a batch are in memory at once, on all devices together;
            the gradient is the whole batch's. None for all. As many test samples are evaluated at
            once, but no more than 1,000 or 16 MiB.
        compute_dtype: what the model computes in, e.g. `jnp.bfloat16`; parameters and losses stay
            in their own dtype.
        clip: the largest norm of a gradient; a longer one is shortened to it.
        average_decay: of a moving average of the parameters, e.g. 0.999, which is then what is
            evaluated and returned; None for the parameters themselves.
        constraint: maps the parameters after each update to those that are kept.
        on_nonfinite: whether a loss that is not finite ends training, or "skip" drops the update
            and counts it in `Epoch.skipped`.
        step: makes the Step; a subclass of it is a step of your own.
        layout: the devices, and what is spread over them; all devices by default.
        checkpoints: where and how often the run is saved; not at all by default.
        resume: whether to go on from the newest of the checkpoints, if there is one. Its parameters
            and its optimizer's state win, also a learning rate that `optax.inject_hyperparams`
            keeps there; any other rate is the one that is given now.
        early_stopping: when to end before the last epoch, with the best model; never by default.
        before: functions of the model, the objective and the data, called before training.
        monitors: functions of the trained model and the epoch's row, called between epochs.
        loggers: what is told each epoch's metrics, e.g. `TensorBoard("logs")`.
        callbacks: functions of the State and the epoch's row, called between epochs.
        stop: says why training is to end, or None; asked about twice a second.
        show_progress: whether a bar is shown.

    Returns:
        `model, history`: a trained copy of the model, or with `seeds` a list of K models, and the
        History. Ctrl-C, `stop`, and numbers that are not finite, end training with the epochs that
        are done; `history.stopped` then says why.

    Raises:
        TypeError: both or none of `loss` and `objective`, or an argument of another type.
        ValueError: data that are empty, not finite or not of the model's feature shape; a number of
            epochs or a batch size below 1; a term that is called "loss"; checkpoints of another
            run, or of this one without `resume`.
        FloatingPointError: a loss or parameters that are not finite in the first epoch, or all of
            its updates dropped.
        RuntimeError: a callback, monitor or logger that failed; the state is saved before.
        KeyboardInterrupt: Ctrl-C before the first epoch is done.

    Warns:
        UserWarning: training was stopped after it, why, and which epochs are kept; checkpoints that
            are damaged, or can no longer be written; a logger that cannot be closed.

    Example:
        >>> from jaxae.losses import bce
        >>> from jaxae.models import MLPAutoencoder
        >>> X = jax.random.uniform(jax.random.key(1), (200, 8, 8))
        >>> model = MLPAutoencoder((8, 8), widths=(16, 4))
        >>> model, history = fit(model, X, loss=bce, epochs=3, show_progress=False)
        >>> history[-1].train_loss < history[0].train_loss
        True
    """
    check_arguments(locals())
    objective, seeds = _objective(loss, objective), checked_seeds(seeds)
    layout = Layout() if layout is None else layout
    train, test = _sources(data, batch_size, microbatch_size, layout, one=seeds is None)
    key = jax.random.key(0) if key is None else key
    optimizer = _optimizer(optimizer, clip)
    key = key if seeds is None else _keys(seeds, key)
    models, graphdef, state = _initial(
        model, optimizer, key, hyperparameters or {}, averaged=average_decay is not None
    )
    for hook in before:
        hook(models[0], objective, data)
    made = step(
        graphdef,
        objective,
        optimizer,
        microbatch_size=microbatch_size,
        compute_dtype=compute_dtype,
        average_decay=average_decay,
        constraint=constraint,
        skip_nonfinite=on_nonfinite == "skip",
        shards=layout.count,
    )
    program = Program(made if seeds is None else Ensemble(made), layout, train, test)
    begun = time.perf_counter()
    position = start(program, layout.place_state(state))
    compile_seconds = time.perf_counter() - begun
    audience = Audience(loggers if is_writer() else (), monitors, callbacks)
    with saving(checkpoints, program, models[0], state) as saver:
        session = Session(program, models, position, saver, early_stopping)
        session.begin(epochs, resume=resume)
        stopped = _run(session, epochs, audience, stop, show_progress=show_progress)
    kept = None if stopped is None else session.what_is_kept
    if kept is not None:
        warnings.warn(f"{stopped}; {kept}", stacklevel=3)
    history = dataclasses.replace(session.history(compile_seconds, stopped), kept=kept)
    return session.trained(session.kept), history


def _run(
    session: Session,
    epochs: int,
    audience: Audience,
    stop: Callable[[], str | None],
    *,
    show_progress: bool,
) -> str | None:
    """Train until all epochs are done; why it ended before, if it did."""
    program = session.program
    shown = show_progress and is_writer()
    try:
        with progress_bar(epochs, program.train.batches, show=shown) as report:
            watch = Watch(report, session.watch, lambda: agreed_reason(stop()))
            while session.position.epoch <= epochs and session.exhausted is None:
                position, row = run_epoch(program, session.position, session.rate, watch)
                session.end_epoch(position, row, audience)
                # An epoch may be one piece, inside which nobody is asked.
                if session.position.epoch <= epochs and (reason := watch.stop()) is not None:
                    raise Stopped(reason)
        session.save()
        return session.exhausted if session.position.epoch <= epochs else None
    except Stopped as reason:
        session.save()
        return str(reason)
    except (KeyboardInterrupt, FloatingPointError) as reason:
        stopped = session.ended_by(reason)
        if not session.rows:
            raise type(reason)(stopped) from reason
        return stopped
    except BaseException:  # e.g. data that can be read no more
        session.rescue()
        raise


def _sources(
    data: Any, batch_size: int | None, microbatch_size: int | None, layout: Layout, *, one: bool
) -> tuple[Source, Source | None]:
    """What one model, or several, are trained on, and what is evaluated after each epoch."""
    train = source_of("data", getattr(data, "train", data), batch_size, layout)
    if not one and isinstance(train, Streamed):
        raise TypeError(
            "seeds= trains each model in an order of its own, and a stream is read in one; train "
            "them one after the other, or on data that fit into memory"
        )
    test = getattr(data, "test", None)
    return train, None if test is None else source_for_test(test, microbatch_size, layout)


def _keys(seeds: int | Keys, key: PRNGKeyArray) -> Keys:
    return jax.random.split(key, seeds) if isinstance(seeds, int) else seeds


def _initial(
    model: Any,
    optimizer: optax.GradientTransformation,
    key: PRNGKeyArray | Keys,
    hyperparameters: Mapping[str, Any],
    *,
    averaged: bool,
) -> tuple[Sequence[nnx.Module], Any, State]:
    """The models, their structure, and the State of one, or of as many as there are keys."""
    if key.ndim:
        return initial_states(model, optimizer, key, hyperparameters, averaged=averaged)
    if hyperparameters:
        raise TypeError("hyperparameters are one for each of several models: they need seeds=")
    graphdef, state = initial_state(model, optimizer, key, averaged=averaged)
    return [model], graphdef, state


def _objective(loss: BaseLoss | None, objective: Mapping[str, Term] | None) -> Objective:
    if (loss is None) == (objective is None):
        raise TypeError("expected either loss= or objective=, e.g. fit(model, data, loss=bce)")
    if objective is not None:
        if "loss" in objective:
            raise ValueError("a term is called 'loss', expected another name: it is the sum's")
        return Objective(objective)
    if not isinstance(loss, BaseLoss):
        raise TypeError(
            f"loss is {loss!r}, expected a Loss, e.g. jaxae.losses.mse or Loss(squared_error)"
        )
    return Objective({"reconstruction": reconstruction(loss)})


def _optimizer(
    optimizer: optax.GradientTransformation | None, clip: float | None
) -> optax.GradientTransformation:
    optimizer = _default_optimizer() if optimizer is None else optimizer
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"optimizer is {optimizer!r}, expected e.g. optax.adam(1e-3)")
    return optimizer if clip is None else _clipped(optimizer, clip)


@functools.cache
def _default_optimizer() -> optax.GradientTransformation:
    return optax.adam(1e-3)


@functools.cache
def _clipped(optimizer: optax.GradientTransformation, clip: float) -> optax.GradientTransformation:
    # Of the same optimizer the same object, so that nothing is compiled again.
    return optax.chain(optax.clip_by_global_norm(clip), optimizer)
