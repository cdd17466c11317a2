import math

import chex
import numpy as np
import optax
import pytest
from flax import nnx

from jaxae.data import Dataset
from jaxae.losses import mse
from jaxae.models import MLPAutoencoder
from jaxae.training import Checkpoints, EarlyStopping, fit

# Descent for two epochs of three updates, and ascent from then on.
WORSE = optax.sgd(lambda step: np.float32(0.5) - np.float32(1.0) * (step >= 6))


def train(checkpoints=None, optimizer=WORSE, **arguments):
    rng = np.random.default_rng(0)
    data = Dataset("random", rng.random((30, 6)), rng.random((12, 6)), "none", "none")
    model = MLPAutoencoder((6,), (8, 3))
    return fit(
        model, data, loss=mse, optimizer=optimizer, batch_size=10, checkpoints=checkpoints,
        show_progress=False, **arguments,
    )  # fmt: skip


def stop_early(checkpoints=None, patience=3, **arguments):
    message = "test_loss has not improved since epoch 2; epochs 1 to"
    with pytest.warns(UserWarning, match=message):
        return train(checkpoints, early_stopping=EarlyStopping(patience=patience), **arguments)


def arrays(model):
    return nnx.to_pure_dict(nnx.state(model))


def test_training_ends_when_nothing_improves_and_the_best_model_is_kept():
    model, history = stop_early(epochs=50)
    assert (len(history), history.best) == (5, 2)
    assert history.stopped == "test_loss has not improved since epoch 2"
    assert min(history, key=lambda row: row.test_loss).epoch == 2
    chex.assert_trees_all_equal(arrays(model), arrays(train(epochs=2)[0]))


def test_the_best_model_is_kept_where_the_epochs_end_first():
    model, history = train(epochs=4, early_stopping=EarlyStopping(patience=9))
    assert (len(history), history.best, history.stopped) == (4, 2, None)
    chex.assert_trees_all_equal(arrays(model), arrays(train(epochs=2)[0]))


def test_the_best_model_survives_a_resume(tmp_path):
    train(Checkpoints(tmp_path), epochs=3, early_stopping=EarlyStopping(patience=3))
    model, history = stop_early(Checkpoints(tmp_path), epochs=50, resume=True)
    expected, whole = stop_early(epochs=50)
    assert (len(history), history.best) == (len(whole), whole.best) == (5, 2)
    chex.assert_trees_all_equal(arrays(model), arrays(expected))


def test_more_patience_goes_on_from_where_less_had_ended(tmp_path):
    stop_early(Checkpoints(tmp_path), patience=1, epochs=50)
    model, history = stop_early(Checkpoints(tmp_path), patience=3, epochs=50, resume=True)
    assert (len(history), history.best) == (5, 2)
    chex.assert_trees_all_equal(arrays(model), arrays(train(epochs=2)[0]))


def test_a_criterion_that_is_new_to_a_run_begins_with_its_last_epoch(tmp_path):
    train(Checkpoints(tmp_path), epochs=3)
    with pytest.warns(UserWarning, match="train_loss has not improved since epoch 3"):
        _, history = train(
            Checkpoints(tmp_path),
            epochs=50,
            early_stopping=EarlyStopping("train_loss", 2),
            resume=True,
        )
    assert (len(history), history.best) == (5, 3)


@pytest.mark.parametrize(
    ("stopping", "value", "best", "improves"),
    [
        (EarlyStopping(), 0.5, 0.7, True),
        (EarlyStopping(), 0.7, 0.7, False),
        (EarlyStopping(min_delta=0.3), 0.5, 0.7, False),
        (EarlyStopping(mode="max"), 0.5, 0.7, False),
        (EarlyStopping(mode="max"), 0.9, 0.7, True),
        (EarlyStopping(), 0.5, math.nan, True),
        (EarlyStopping(), math.nan, 0.5, False),
        (EarlyStopping(), math.nan, math.nan, False),
    ],
)
def test_better_is_smaller_or_larger_by_more_than_a_least_amount(stopping, value, best, improves):
    assert stopping.improves(value, best) is improves


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"patience": 0}, "patience is 0, expected at least 1"),
        ({"min_delta": -0.1}, "min_delta is -0.1, expected 0 or more"),
        ({"min_delta": math.nan}, "min_delta is nan, expected 0 or more"),
    ],
)
def test_what_cannot_be_waited_for_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**fields)
