"""Training that is stopped anywhere and goes on, through `fit`."""

import dataclasses
import itertools

import chex
import jax
import numpy as np
import optax
import pytest
from flax import nnx

from jaxae.data import Dataset
from jaxae.losses import mae, mse
from jaxae.models import MLPAutoencoder
from jaxae.training import Checkpoints, EarlyStopping, _epoch, fit
from jaxae.training._loop import advance

ADAM = optax.adam(1e-2)
EPOCHS = 4
BATCHES = 5


def data(seed=0):
    rng = np.random.default_rng(seed)
    return Dataset("random", rng.random((45, 6)), rng.random((12, 6)), "none", "none")


def train(checkpoints=None, **arguments):
    model = arguments.pop("model", None) or MLPAutoencoder((6,), (8, 3))
    defaults = {
        "data": data(),
        "loss": mse,
        "epochs": EPOCHS,
        "batch_size": 10,
        "optimizer": ADAM,
        "show_progress": False,
    }
    return fit(model, checkpoints=checkpoints, **(defaults | arguments))


@pytest.fixture(autouse=True)
def pieces(monkeypatch):
    """The loop comes back to Python after each batch."""
    monkeypatch.setattr(_epoch, "SECONDS_A_PIECE", 1e-9)


@pytest.fixture(scope="module")
def whole():
    """Training that nothing happened to."""
    return train()


@pytest.fixture
def often(tmp_path):
    """A checkpoint after each batch."""
    return Checkpoints(tmp_path, every_seconds=1e-9)


def stop_after(batches):
    count = itertools.count(1)
    return lambda: "enough" if next(count) >= batches else None


def stopped(checkpoints, batches, **arguments):
    with pytest.warns(UserWarning, match="enough; .*, and checkpoints in"):
        return train(checkpoints, stop=stop_after(batches), **arguments)


def arrays(model):
    return nnx.to_pure_dict(nnx.state(model))


def history(rows):
    return [row._replace(samples_per_second=0.0) for row in rows]


def assert_same(one, other):
    """The same parameters and the same history, bit for bit."""
    chex.assert_trees_all_equal(arrays(one[0]), arrays(other[0]))
    assert history(one[1]) == history(other[1])
    assert one[1].best == other[1].best


@pytest.mark.parametrize("batches", [1, 4, 5, 10])
def test_what_was_stopped_anywhere_comes_to_the_same_bits(batches, often, whole):
    _, rows = stopped(often, batches)
    assert len(rows) == batches // BATCHES
    compiled = advance._cache_size()
    assert_same(train(often, resume=True), whole)
    assert advance._cache_size() == compiled


def test_where_an_epoch_is_one_piece_training_is_asked_to_stop_between_epochs(
    tmp_path, monkeypatch
):
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="enough"):
        _, rows = train(Checkpoints(tmp_path), stop=stop_after(3), epochs=2000)
    assert rows.stopped == "enough"
    assert len(rows) <= 4


def test_data_that_fail_while_training_lose_no_epoch(tmp_path, whole):
    def fail(state, row):
        if row.epoch == 2:
            raise SystemExit

    with pytest.raises(SystemExit):
        train(Checkpoints(tmp_path, every_epochs=10), callbacks=[fail])
    assert_same(train(Checkpoints(tmp_path), resume=True), whole)


def test_the_loop_is_traced_once_for_all_epochs_ragged_tails_and_resumes(often, monkeypatch):
    # All of 5 and of 2 batches, the last ones ragged, by equal steps that are not the same.
    once = jax.jit(chex.assert_max_traces(advance.__wrapped__, n=1), static_argnums=(0, 1))
    monkeypatch.setattr(_epoch, "advance", once)
    stopped(often, 7)
    train(often, resume=True)


def test_a_run_that_is_done_goes_on_for_more_epochs(tmp_path, whole):
    checkpoints = Checkpoints(tmp_path, every_epochs=3)
    train(checkpoints, epochs=2)
    assert_same(train(checkpoints, resume=True), whole)
    assert_same(train(checkpoints, resume=True), whole)


def test_fewer_epochs_than_are_done_are_refused(tmp_path):
    train(Checkpoints(tmp_path), epochs=3)
    with pytest.raises(ValueError, match="holds a run of 3 epochs, expected epochs to be as many"):
        train(Checkpoints(tmp_path), epochs=2, resume=True)


def test_resuming_what_was_never_saved_begins_it(often, whole):
    assert_same(train(often, resume=True), whole)


def test_a_run_is_not_overwritten_by_another(often):
    train(often, epochs=1)
    with pytest.raises(ValueError, match="holds the checkpoints of a run; go on from them with"):
        train(often)
    with pytest.raises(TypeError, match=r"resume needs checkpoints=Checkpoints\(path\)"):
        train(resume=True)


OTHERS = {
    "data": ({"data": data(seed=1)}, "data: 45×6 float32 .* there, 45×6 float32 .* here"),
    "test data": (
        {"data": dataclasses.replace(data(), test=data().test[::-1])},
        "test data: 12×6 float32 .* there, 12×6 float32 .* here",
    ),
    "objective": ({"loss": mae}, "objective: .*squared_error.* there, .*absolute_error.* here"),
    "batch size": ({"batch_size": 9}, "batch size: 10 there, 9 here"),
    "key": ({"key": jax.random.key(1)}, r"random key: \[0, 0\] there, \[0, 1\] here"),
    "activation": (
        {"model": MLPAutoencoder((6,), (8, 3), code_activation=jax.nn.relu)},
        "model: .*code_activation=identity.* there, .*code_activation=relu.* here",
    ),
    "width": (
        {"model": MLPAutoencoder((6,), (8, 2))},
        r"model or optimizer: .*kernel: float32\[3, 8\] there, float32\[2, 8\] here",
    ),
    "optimizer": ({"optimizer": optax.sgd(0.1)}, "model or optimizer: .*count.* there, none here"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_run_is_refused_with_the_difference(other, tmp_path, stopped_run):
    arguments, difference = OTHERS[other]
    with pytest.raises(ValueError, match=f"holds a run with another ({difference})"):
        train(stopped_run, resume=True, **arguments)


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory):
    """The checkpoints of training that was stopped after an epoch."""
    checkpoints = Checkpoints(tmp_path_factory.mktemp("stopped"))
    train(checkpoints, epochs=1)
    return checkpoints


def test_a_callback_that_fails_is_named_and_training_goes_on_after_it(tmp_path, whole):
    def explode(state, row):
        if row.epoch == 2:
            raise LookupError("lost")

    checkpoints = Checkpoints(tmp_path, every_epochs=100)
    message = "callback explode failed after epoch 2: LookupError: lost"
    with pytest.raises(RuntimeError, match=message):
        train(checkpoints, callbacks=[explode])
    told = []
    resumed = train(checkpoints, resume=True, callbacks=[lambda state, row: told.append(row.epoch)])
    assert told == [3, 4]
    assert_same(resumed, whole)


class Broken:
    def log(self, epoch, metrics):
        raise OSError("no network")

    def close(self):
        pass


def test_monitors_and_loggers_that_fail_are_named_too(tmp_path):
    def probe(model, row):
        raise LookupError("lost")

    with pytest.raises(RuntimeError, match="monitor probe failed after epoch 1: LookupError: lost"):
        train(Checkpoints(tmp_path / "a"), monitors=[probe])
    with pytest.raises(RuntimeError, match="logger Broken failed after epoch 1: OSError: no net"):
        train(Checkpoints(tmp_path / "b"), loggers=[Broken()])


def test_control_c_saves_what_is_done(tmp_path, whole):
    def interrupt(state, row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    checkpoints = Checkpoints(tmp_path, every_epochs=100)
    with pytest.warns(UserWarning, match="interrupted in epoch 3; epochs 1 to 2 are kept, and che"):
        train(checkpoints, callbacks=[interrupt])
    assert_same(train(checkpoints, resume=True), whole)


def test_a_disk_that_is_full_stops_saving_and_not_training(often, whole, monkeypatch):
    from orbax.checkpoint import v1 as ocp

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ocp.training.Checkpointer, "save_async", full)
    with pytest.warns(UserWarning, match="No space left on device; training goes on") as warned:
        trained = train(often)
    assert len(warned) == 1
    assert_same(trained, whole)


def test_parameters_that_are_broken_are_not_saved_over_good_ones(often):
    """The learning rate explodes in update 8: its loss is the last that is finite."""
    broken = optax.sgd(lambda step: np.float32(0.1) + np.float32(np.inf) * (step == 7))
    message = r"not finite in update 9.*the last good checkpoint is .*/[5-7]; epochs 1 to 1 are"
    with pytest.warns(UserWarning, match=message):
        train(often, optimizer=broken)


def test_the_best_checkpoint_is_kept(tmp_path):
    """Training that gets worse from the second epoch on."""
    worse = optax.sgd(lambda step: np.float32(0.1) - np.float32(0.5) * (step >= 2 * BATCHES))
    _, rows = train(Checkpoints(tmp_path, keep=1), optimizer=worse)
    best = min(rows, key=lambda row: row.test_loss).epoch
    assert best < EPOCHS
    kept = sorted(int(path.name) for path in tmp_path.iterdir())
    assert kept == [best * BATCHES, EPOCHS * BATCHES]


def test_metrics_that_there_will_not_be_are_named_before_training(tmp_path):
    with pytest.raises(ValueError, match="no metric 'loss' for the best checkpoint, expected one"):
        train(Checkpoints(tmp_path, best="loss"))
    with pytest.raises(ValueError, match="no metric 'loss' to stop early on, expected one of"):
        train(early_stopping=EarlyStopping("loss"))


@pytest.mark.filterwarnings("ignore:no more checkpoints are saved")
def test_what_is_kept_names_the_last_checkpoint_where_the_final_one_fails(tmp_path, monkeypatch):
    from orbax.checkpoint import v1 as ocp

    checkpoints, begin = Checkpoints(tmp_path), ocp.training.Checkpointer.save_async

    def full_from_the_second_on(self, number, *arguments, **options):
        if number > BATCHES:
            raise OSError(28, "No space left on device")
        return begin(self, number, *arguments, **options)

    monkeypatch.setattr(ocp.training.Checkpointer, "save_async", full_from_the_second_on)
    with pytest.warns(UserWarning, match="enough; epochs 1 to 1 are kept") as warned:
        _, rows = train(checkpoints, stop=stop_after(BATCHES + 1))
    assert str(warned[-1].message) == (
        f"enough; epochs 1 to 1 are kept, and checkpoints in {tmp_path}, the last of which is "
        f"{tmp_path / str(BATCHES)}: what came after it is not saved"
    )
    assert rows.kept == (1, tmp_path, tmp_path / str(BATCHES), False)


def test_what_is_kept_says_that_all_is_saved(tmp_path):
    with pytest.warns(
        UserWarning, match=f"enough; no epoch is done, and checkpoints in {tmp_path}$"
    ):
        _, rows = train(Checkpoints(tmp_path), stop=stop_after(2))
    assert rows.kept == (0, tmp_path, tmp_path / "2", True)


def test_a_better_epoch_is_saved_between_the_others(tmp_path):
    seen = []
    train(
        Checkpoints(tmp_path, every_epochs=EPOCHS, keep=1),
        optimizer=optax.sgd(lambda update: np.float32(0.1) * (1 - 3 * (update >= 2 * BATCHES))),
        callbacks=[lambda state, row: seen.append(row.test_loss)],
    )
    best = BATCHES * (1 + int(np.argmin(seen)))
    assert {path.name for path in tmp_path.glob("[0-9]*")} == {f"{best}", f"{EPOCHS * BATCHES}"}
    assert best == 2 * BATCHES
