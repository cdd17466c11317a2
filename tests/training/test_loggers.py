"""Loggers: what TensorBoard and Weights & Biases have in their files."""

import builtins
import struct
import sys
import time

import numpy as np
import pytest

from jaxae.losses import bce
from jaxae.models import MLPAutoencoder
from jaxae.training import Epoch, Logger, TensorBoard, WeightsAndBiases, fit
from jaxae.training._loggers import log_epoch, opened

ROW = Epoch(2, 0.5, None, 100.0, {"kl": 0.25}, updates=30)


class Kept:
    """A logger of one's own."""

    def __init__(self):
        self.logged, self.closed = {}, False

    def log(self, epoch, metrics):
        self.logged[epoch] = dict(metrics)

    def close(self):
        self.closed = True


def test_a_logger_is_told_numbers_by_name():
    kept = Kept()
    assert isinstance(kept, Logger)
    log_epoch([kept], ROW)
    expected = {"train_loss": 0.5, "samples_per_second": 100.0, "train_kl": 0.25, "updates": 30}
    assert kept.logged == {2: {**expected, "skipped": 0}}


def test_loggers_are_closed_however_training_ends():
    kept = Kept(), Kept()
    with pytest.raises(RuntimeError, match="the disk"), opened(kept):
        raise RuntimeError("the disk")
    assert all(x.closed for x in kept)


class Unclosed(Kept):
    """A logger whose last words do not come through."""

    def close(self):
        super().close()
        raise OSError("no network")


UNCLOSED = "logger Unclosed failed to close: OSError: no network; its last epochs may not be"


def train(X, **arguments):
    model = MLPAutoencoder((6,), (4, 2))
    return fit(model, X, **({"loss": bce, "epochs": 2, "show_progress": False} | arguments))


@pytest.fixture
def samples(rng):
    return rng.random((20, 6)).astype(np.float32)


def test_a_logger_that_cannot_be_closed_costs_neither_model_nor_history(samples):
    first, last = Unclosed(), Kept()
    with pytest.warns(UserWarning, match=UNCLOSED):
        model, history = train(samples, loggers=[first, last])
    assert (len(history), model.feature_shape) == (2, (6,))
    assert first.closed
    assert last.closed


def test_it_does_not_stand_in_the_place_of_what_failed_before(samples):
    def explode(state, row):
        raise LookupError("lost")

    def train_and_explode():
        with pytest.raises(RuntimeError, match="callback explode failed after epoch 1: LookupErr"):
            train(samples, loggers=[Unclosed()], callbacks=[explode])

    with pytest.warns(UserWarning, match=UNCLOSED):
        train_and_explode()


@pytest.mark.parametrize(
    "mistake", [{"epochs": 0}, {"loss": None}, {"batch_size": 0}, {"before": [lambda *_: 1 / 0]}]
)
def test_loggers_are_closed_where_training_does_not_begin(mistake, samples):
    kept = Kept()
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)):
        train(samples, loggers=[kept], **mistake)
    assert kept.closed


def test_every_epoch_of_training_is_logged(samples):
    kept = Kept()
    _, history = train(samples, loggers=[kept])
    assert kept.closed
    assert {n: x["train_loss"] for n, x in kept.logged.items()} == {
        row.epoch: row.train_loss for row in history
    }


def test_tensorboard_has_each_metric_as_a_scalar(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    logger = TensorBoard(tmp_path)
    log_epoch([logger], ROW)
    logger.close()
    (file,) = tmp_path.iterdir()
    events = [Event.FromString(record) for record in records(file.read_bytes())]
    scalars = {v.tag: (e.step, v.simple_value) for e in events for v in e.summary.value}
    assert scalars["train_loss"] == (2, 0.5)
    assert scalars["train_kl"] == (2, 0.25)


def records(data):
    """TFRecords: a length, its checksum, the bytes, their checksum."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield data[12 : 12 + length]
        data = data[16 + length :]


def test_weights_and_biases_works_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WeightsAndBiases(project="digits", mode="offline", dir=str(tmp_path))
    log_epoch([logger], ROW)
    logger.close()
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    # Its own process may still write when the run is ended.
    ended = time.monotonic()
    while b"train_kl" not in (written := file.read_bytes()) and time.monotonic() < ended + 30:
        time.sleep(0.1)
    assert b"train_kl" in written


@pytest.mark.parametrize(
    ("package", "make", "message"),
    [
        ("tensorboardX", lambda: TensorBoard("logs"), r"pip install 'jaxae\[tensorboard\]'"),
        ("wandb", lambda: WeightsAndBiases(), r"pip install 'jaxae\[wandb\]'"),
    ],
)
def test_a_missing_package_is_named(package, make, message, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == package:
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=message):
        make()
