import dataclasses
import functools
import json
import random
import signal
import sys
import threading
import time

import chex
import jax
import numpy as np
import optax
import pytest
from flax import nnx
from PIL import Image

from jaxae import runs
from jaxae.data import load
from jaxae.losses import mae
from jaxae.models import MLPAutoencoder
from jaxae.runs import (
    Config,
    RunDirectory,
    _directory,
    _train,
    load_model,
    resumed_config,
    train,
)
from jaxae.training import TensorBoard, _epoch, fit
from jaxae.training._session import Session

FILES = [
    "checkpoint",
    "checkpoints",
    "config.json",
    "loss.png",
    "metrics.jsonl",
    "reconstructions.png",
    "summary.json",
]


def content(path):
    return sorted(entry.name for entry in path.iterdir())


def rows(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def arrays(path):
    return nnx.to_pure_dict(nnx.state(load_model(path)))


@pytest.fixture
def small(tmp_path, rng):
    """A configuration that takes little time: 50 samples of 6 numbers, one layer."""
    np.save(tmp_path / "small.npy", rng.random((50, 6)))
    return Config(data=str(tmp_path / "small.npy"), layers=(2,), epochs=3, batch_size=16)


@pytest.fixture
def out(tmp_path):
    """A folder for a run, whose parent does not exist either."""
    return tmp_path / "new" / "run"


def test_a_run_leaves_these_files_and_no_others(run):
    assert content(run.path) == FILES


@pytest.mark.parametrize("name", ["loss.png", "reconstructions.png"])
def test_the_pictures_are_pictures(run, name):
    with Image.open(run.path / name) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 100
        assert len(np.unique(np.asarray(picture))) > 10


def test_the_configuration_is_written_with_nothing_left_to_defaults(run):
    written = Config.from_file(run.directory.config)
    asked = {"layers": (16, 4), "epochs": 2, "batch_size": 100, "learning_rate": 0.01}
    assert written == Config(**asked, feature_shape=(8, 8))


def test_the_metrics_are_a_row_an_epoch(run):
    assert [row["epoch"] for row in rows(run.path)] == [1, 2]
    for name in ("train_loss", "test_loss"):
        assert rows(run.path)[0][name] > rows(run.path)[1][name] == run.summary[name]


def test_the_summary_is_what_is_written(run):
    written = json.loads(run.directory.summary.read_text())
    assert written == run.summary | {"layers": [16, 4], "feature_shape": [8, 8]}


def test_the_same_seed_gives_the_same_run_bit_for_bit_and_another_does_not(small, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        config = Config(**{**small.to_json(), "seed": seed})
        train(config, tmp_path / name, show_progress=False)
    losses = {
        name: [(row["train_loss"], row["test_loss"]) for row in rows(tmp_path / name)]
        for name in "abc"
    }
    assert losses["a"] == losses["b"]
    assert losses["a"] != losses["c"]
    chex.assert_trees_all_equal(arrays(tmp_path / "a"), arrays(tmp_path / "b"))
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(arrays(tmp_path / "a"), arrays(tmp_path / "c"))


def test_a_run_is_what_fit_gives(small, out):
    config = Config(**{**small.to_json(), "seed": 5, "loss": "mae", "learning_rate": 0.03})
    train(config, out, show_progress=False)
    model, history = fit(
        MLPAutoencoder((6,), (2,), rngs=nnx.Rngs(5)),
        load(small.data),
        loss=mae,
        optimizer=optax.adam(0.03),
        epochs=3,
        batch_size=16,
        key=jax.random.key(5),
        show_progress=False,
    )
    chex.assert_trees_all_equal(arrays(out), nnx.to_pure_dict(nnx.state(model)))
    assert [row["train_loss"] for row in rows(out)] == [row.train_loss for row in history]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"data": "nowhere.npy"}, FileNotFoundError, "no file or folder at nowhere.npy"),
        ({"data": "mnits"}, ValueError, "did you mean 'mnist'"),
        ({"layers": (0,)}, ValueError, "expected one or more positive integers"),
    ],
)
def test_what_cannot_be_trained_leaves_no_trace(fields, error, message, small, out):
    with pytest.raises(error, match=message):
        train(Config(**{**small.to_json(), **fields}), out, show_progress=False)
    assert not out.parent.exists()


def test_a_folder_that_holds_a_run_is_refused_and_left_as_it_is(run, small):
    before = run.directory.summary.read_bytes()
    with pytest.raises(ValueError, match="holds another run"):
        train(small, run.path, show_progress=False)
    assert content(run.path) == FILES
    assert run.directory.summary.read_bytes() == before


def test_divergence_before_an_epoch_is_done_leaves_no_trace(small, out):
    config = Config(**{**small.to_json(), "learning_rate": 1e30})
    with pytest.raises(FloatingPointError, match=r"not finite .* of epoch 1; lower the learning"):
        train(config, out, show_progress=False)
    assert not out.parent.exists()


def stop_after(monkeypatch, epochs, stop):
    """Lets an epoch's row be written until so many are, then stops."""
    append = RunDirectory.append_epoch

    def append_and_stop(run, row):
        append(run, row)
        if row.epoch == epochs:
            stop()

    monkeypatch.setattr(RunDirectory, "append_epoch", append_and_stop)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_keeps_the_epochs_that_are_done(small, out, monkeypatch):
    stop_after(monkeypatch, 2, interrupt)
    with pytest.warns(UserWarning, match="interrupted in epoch 3; epochs 1 to 2 are kept"):
        summary = train(small, out, show_progress=False)
    assert summary["epochs"] == 2
    assert summary["stopped"] == "interrupted in epoch 3"
    assert content(out) == FILES
    assert [row["epoch"] for row in rows(out)] == [1, 2]


def test_an_interrupt_within_a_row_leaves_whole_rows(small, out, monkeypatch):
    def write_a_part_and_stop(run, row):
        with run.metrics.open("a") as file:
            file.write('{"epoch": ')
        interrupt()

    monkeypatch.setattr(RunDirectory, "append_epoch", write_a_part_and_stop)
    with pytest.warns(UserWarning, match="epochs 1 to 1 are kept"):
        train(small, out, show_progress=False)
    assert [row["epoch"] for row in rows(out)] == [1]


def test_an_interrupt_before_the_first_epoch_is_done_leaves_no_trace(small, out, monkeypatch):
    save = _train.write_json

    def write_and_interrupt(path, content):
        save(path, content)
        interrupt()

    monkeypatch.setattr(_train, "write_json", write_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(small, out, show_progress=False)
    assert not out.parent.exists()


def test_an_interrupt_while_the_run_is_written_waits(small, out, monkeypatch):
    draw, handler = _train.save_losses, signal.getsignal(signal.SIGINT)

    def interrupt_and_draw(*arguments):
        interrupt()
        draw(*arguments)

    monkeypatch.setattr(_train, "save_losses", interrupt_and_draw)
    train(small, out, show_progress=False)
    assert content(out) == FILES
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_failure_while_the_run_is_written_keeps_its_epochs(small, out, monkeypatch):
    def full(path, model):
        raise OSError("no space left")

    monkeypatch.setattr(_directory, "save_checkpoint", full)
    with pytest.raises(OSError, match="no space left"):
        train(small, out, show_progress=False)
    assert content(out) == ["checkpoints", "config.json", "metrics.jsonl"]
    assert len(rows(out)) == 3
    monkeypatch.undo()
    train(small, out, resume=True, show_progress=False)
    assert content(out) == FILES


def test_training_works_outside_of_the_main_thread(small, out):
    thread = threading.Thread(target=train, args=(small, out), kwargs={"show_progress": False})
    thread.start()
    thread.join()
    assert content(out) == FILES


def test_without_matplotlib_nothing_is_trained(small, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(_train, "fit", lambda *_, **__: pytest.fail("it was trained"))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxae\[cli\]'"):
        train(small, out, show_progress=False)
    assert not out.parent.exists()


def resume(path, epochs=None, **arguments):
    return train(resumed_config(path, epochs), path, resume=True, show_progress=False, **arguments)


def test_a_run_goes_on_for_more_epochs_to_what_it_would_have_been(small, tmp_path):
    more = dataclasses.replace(small, epochs=5)
    train(more, tmp_path / "whole", show_progress=False)
    train(small, tmp_path / "run", show_progress=False)
    summary = resume(tmp_path / "run", epochs=5)
    chex.assert_trees_all_equal(arrays(tmp_path / "run"), arrays(tmp_path / "whole"))
    assert summary["epochs"] == Config.from_file(tmp_path / "run" / "config.json").epochs == 5
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert content(tmp_path / "run") == FILES


def losses(path):
    return [(row["epoch"], row["train_loss"], row["test_loss"]) for row in rows(path)]


def test_a_run_that_is_done_says_so_and_is_left_as_it_is(run):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.warns(UserWarning, match="has done all of its 2 epochs; resume it with more"):
        summary = resume(run.path)
    assert summary == json.loads(run.directory.summary.read_text())
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_what_a_run_was_asked_cannot_be_another_and_nothing_is_lost(small, tmp_path):
    train(small, tmp_path / "run", show_progress=False)
    before = (tmp_path / "run" / "config.json").read_bytes()
    config = dataclasses.replace(resumed_config(tmp_path / "run"), learning_rate=0.5)
    with pytest.raises(ValueError, match=r"another learning_rate: 0\.001 there, 0.5 here"):
        train(config, tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match=r"holds a run of 3 epochs, expected .* more, got 2"):
        resume(tmp_path / "run", epochs=2)
    np.save(small.data, np.load(small.data) / 2)
    with pytest.raises(ValueError, match=r"holds a run with another data: 40×6 float32 .* there"):
        resume(tmp_path / "run", epochs=9)
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    assert content(tmp_path / "run") == FILES


def test_nothing_is_resumed_where_there_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no run at .*: it has no config.json"):
        resume(tmp_path)


def test_rows_that_a_killed_run_left_are_not_there_twice(small, out):
    """A kill after the last checkpoint: epochs that are done again, and half a row."""
    train(small, out, show_progress=False)
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4}\n{"epoch": 5}\n{"epo')
    resume(out, epochs=5)
    assert [row["epoch"] for row in rows(out)] == [1, 2, 3, 4, 5]


def test_sigterm_saves_and_keeps_the_folder_also_before_the_first_epoch(small, out, monkeypatch):
    write = _train.write_json

    def write_and_terminate(path, content):
        write(path, content)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(_train, "write_json", write_and_terminate)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.warns(UserWarning, match="stopped by SIGTERM; no epoch is done, and checkpoints"):
        summary = train(small, out, show_progress=False)
    assert summary == {"stopped": "stopped by SIGTERM", "epochs": 0}
    assert signal.getsignal(signal.SIGTERM) is handler
    assert content(out) == ["checkpoints", "config.json"]
    monkeypatch.undo()
    resume(out)
    assert content(out) == FILES


def test_sigterm_while_data_are_loaded_ends_training_when_they_are(small, out, monkeypatch):
    def load_and_terminate(config):
        signal.raise_signal(signal.SIGTERM)
        return load(config.data)

    monkeypatch.setattr(Config, "load_data", load_and_terminate)
    monkeypatch.setattr(_epoch, "SECONDS_A_PIECE", 1e-9)
    with pytest.warns(UserWarning, match="stopped by SIGTERM"):
        summary = train(small, out, show_progress=False)
    assert summary == {"stopped": "stopped by SIGTERM", "epochs": 0}


@pytest.fixture
def alarm():
    """Has SIGTERM come after so many seconds, which ends nothing where nobody waits for it."""
    handlers = {
        signal.SIGALRM: lambda *_: signal.raise_signal(signal.SIGTERM),
        signal.SIGTERM: lambda *_: None,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.filterwarnings("ignore:stopped by SIGTERM")
def test_sigterm_at_any_moment_loses_nothing(small, tmp_path, alarm, monkeypatch):
    small, moments, stopped = dataclasses.replace(small, epochs=20), random.Random(0), []
    monkeypatch.setattr(optax, "adam", functools.cache(optax.adam))  # compiled once
    monkeypatch.setattr(_epoch, "SECONDS_A_PIECE", 1e-9)
    monkeypatch.setattr(_train, "_draw", lambda *_: None)
    for path in ("first", "whole"):
        begun = time.perf_counter()
        train(small, tmp_path / path, save_seconds=0.01, show_progress=False)
    longest = time.perf_counter() - begun
    for run in (tmp_path / str(i) for i in range(12)):
        alarm(moments.uniform(1e-3, longest))
        stopped.append(train(small, run, save_seconds=0.01, show_progress=False)["stopped"])
        alarm(0)
        if stopped[-1]:
            resume(run)
        chex.assert_trees_all_equal(arrays(run), arrays(tmp_path / "whole"))
        assert [row["epoch"] for row in rows(run)] == list(range(1, 21))
    assert any(stopped)


def test_control_c_pressed_again_does_not_end_the_saving(small, out, monkeypatch):
    from orbax.checkpoint import v1 as ocp

    begin = ocp.training.Checkpointer.save_async

    def interrupt_and_begin(*arguments, **options):
        interrupt()
        return begin(*arguments, **options)

    monkeypatch.setattr(ocp.training.Checkpointer, "save_async", interrupt_and_begin)
    stop_after(monkeypatch, 2, interrupt)
    with pytest.warns(UserWarning, match="interrupted in epoch 3; epochs 1 to 2 are kept"):
        summary = train(small, out, show_progress=False)
    assert summary["epochs"] == 2
    assert content(out) == FILES


def test_a_part_of_an_epoch_that_was_saved_outlives_control_c(small, out, monkeypatch):
    def save_and_interrupt(session, position):
        session.position = position
        session.save()
        interrupt()

    monkeypatch.setattr(Session, "watch", save_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(small, out, show_progress=False)
    assert content(out) == ["checkpoints", "config.json"]
    monkeypatch.undo()
    resume(out)
    assert content(out) == FILES


def test_metrics_that_cannot_be_written_do_not_end_training(small, out, monkeypatch):
    def full(run, row):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDirectory, "append_epoch", full)
    with pytest.warns(UserWarning, match="metrics.jsonl lacks epochs: .*No space left on device"):
        train(small, out, show_progress=False)
    assert [row["epoch"] for row in rows(out)] == [1, 2, 3]


def test_loggers_are_made_for_the_runs_folder(small, out):
    train(small, out, loggers=[TensorBoard], show_progress=False)
    (events,) = out.glob("events.out.tfevents.*")
    assert b"train_reconstruction" in events.read_bytes()


class Fragile:
    """A logger that fails in some epochs, or when it is closed."""

    closed = 0

    def __init__(self, *epochs):
        self.epochs = epochs

    def log(self, epoch, metrics):
        if epoch in self.epochs:
            raise OSError("no network")

    def close(self):
        type(self).closed += 1


def test_no_row_is_missing_where_a_logger_fails_again_and_again(small, out):
    with pytest.raises(RuntimeError, match="logger Fragile failed after epoch 2"):
        train(small, out, loggers=[lambda path: Fragile(2)], show_progress=False)
    assert [row["epoch"] for row in rows(out)] == [1, 2]
    with pytest.raises(RuntimeError, match="logger Fragile failed after epoch 3"):
        resume(out, loggers=[lambda path: Fragile(3)])
    assert [row["epoch"] for row in rows(out)] == [1, 2, 3]


def test_a_logger_that_cannot_be_made_leaves_no_other_open(small, out, monkeypatch):
    def broken(path):
        raise OSError("no network")

    monkeypatch.setattr(Fragile, "closed", 0)
    with pytest.raises(OSError, match="no network"):
        train(small, out, loggers=[lambda path: Fragile(), broken], show_progress=False)
    assert Fragile.closed == 1
    assert not out.parent.exists()


def full_after(monkeypatch, checkpoints):
    """A disk that has room for so many checkpoints."""
    from orbax.checkpoint import v1 as ocp

    begin, left = ocp.training.Checkpointer.save_async, [None] * checkpoints

    def save(*arguments, **options):
        if not left:
            raise OSError(28, "No space left on device")
        left.pop()
        return begin(*arguments, **options)

    monkeypatch.setattr(ocp.training.Checkpointer, "save_async", save)


def terminate_after(monkeypatch, epochs):
    """SIGTERM after so many epochs, and one batch of the next."""
    monkeypatch.setattr(_epoch, "SECONDS_A_PIECE", 1e-9)
    stop_after(monkeypatch, epochs, lambda: signal.raise_signal(signal.SIGTERM))


@pytest.mark.filterwarnings("ignore:no more checkpoints are saved")
@pytest.mark.filterwarnings("ignore:stopped by SIGTERM")
def test_sigterm_on_a_full_disk_names_the_last_checkpoint_there_is(small, out, monkeypatch):
    terminate_after(monkeypatch, 2)
    full_after(monkeypatch, 1)
    message = f"SIGTERM, and what was done since {out}/checkpoints/3 could not be saved; to go on"
    with pytest.raises(OSError, match=f"{message} from there: jaxae train --resume {out}"):
        train(small, out, save_epochs=1, show_progress=False)
    assert content(out / "checkpoints") == ["3"]
    monkeypatch.undo()
    assert resume(out)["epochs"] == 3


@pytest.mark.filterwarnings("ignore:no more checkpoints are saved")
@pytest.mark.filterwarnings("ignore:stopped by SIGTERM")
def test_sigterm_on_a_disk_that_was_always_full_says_that_nothing_is_saved(small, out, monkeypatch):
    terminate_after(monkeypatch, 2)
    full_after(monkeypatch, 0)
    message = f"SIGTERM, and nothing could be saved to {out}/checkpoints$"
    with pytest.raises(OSError, match=message):
        train(small, out, show_progress=False)


def test_the_summary_names_the_epoch_whose_weights_are_kept(small, out, run):
    """Training that gets worse: the first epoch is the best."""
    worse = dataclasses.replace(small, loss="mse", learning_rate=3.0, patience=2, epochs=9)
    with pytest.warns(UserWarning, match="test_loss has not improved since epoch"):
        summary = train(worse, out, show_progress=False)
    losses = [row["test_loss"] for row in rows(out)]
    assert summary["weights_epoch"] == 1 + losses.index(min(losses)) < summary["epochs"]
    assert summary["test_mse"] == pytest.approx(min(losses), rel=1e-5)
    assert run.summary["weights_epoch"] == run.summary["epochs"] == 2


def test_a_run_whose_data_stream_is_that_of_data_in_memory(tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.random((60, 6)).astype(np.float32))
    config = Config(data=str(tmp_path / "x.npy"), layers=(4, 2), epochs=2, batch_size=10)
    summaries = [
        train(
            dataclasses.replace(config, stream=stream), tmp_path / f"{stream}", show_progress=False
        )
        for stream in (False, True)
    ]
    assert summaries[0]["scaling"] == summaries[1]["scaling"]
    for name in ("train_samples", "test_samples", "train_loss", "test_mse", "pca_mse"):
        assert summaries[0][name] == pytest.approx(summaries[1][name], rel=1e-5), name
    assert runs.evaluate(tmp_path / "True")["test_mse"] == summaries[1]["test_mse"]


def test_data_with_a_name_do_not_stream():
    with pytest.raises(ValueError, match="digits is not streamed, expected the path of a file"):
        Config(stream=True)
