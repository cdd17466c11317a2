import json
import signal
import sys
import threading

import chex
import jax
import numpy as np
import optax
import pytest
from flax import nnx
from PIL import Image

from jaxae.data import load
from jaxae.losses import mae
from jaxae.models import MLPAutoencoder
from jaxae.runs import Config, RunDirectory, _train, load_model, train
from jaxae.training import fit

FILES = [
    "checkpoint",
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
        ({"batch_size": 41}, ValueError, "batch_size is 41, .* training samples, 40"),
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

    monkeypatch.setattr(_train, "save_checkpoint", full)
    with pytest.raises(OSError, match="no space left"):
        train(small, out, show_progress=False)
    assert content(out) == ["config.json", "metrics.jsonl"]
    assert len(rows(out)) == 3


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
