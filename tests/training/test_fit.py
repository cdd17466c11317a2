import dataclasses
import os
import signal
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxae.data import Dataset, load
from jaxae.evaluation import evaluate
from jaxae.losses import LOSSES, bce, l1, likelihood_for, mse
from jaxae.models import MLPAutoencoder, reconstruct
from jaxae.objectives import Objective, latent_term, prior_matching, reconstruction
from jaxae.training import _samples, fit
from jaxae.training._loop import advance


def train(X, *, model=None, **arguments):
    model = MLPAutoencoder(X.shape[1:], (8, 3)) if model is None else model
    defaults = {"loss": bce, "epochs": 3, "batch_size": 10, "show_progress": False}
    return fit(model, X, **(defaults | arguments))


@pytest.fixture
def samples(rng):
    return rng.random((45, 6)).astype(np.float32)


def arrays(model):
    return nnx.to_pure_dict(nnx.state(model))


def test_digits_are_learned():
    digits = load("digits")
    model, history = fit(
        MLPAutoencoder(digits.feature_shape), digits, loss=mse, epochs=10, batch_size=32,
        show_progress=False,
    )  # fmt: skip
    reconstructions = reconstruct(model, digits.test)
    assert mse(reconstructions, digits.test) < 0.5 * digits.test.var(0).mean()
    assert history[-1].test_loss == pytest.approx(
        float(mse(reconstructions, digits.test)), rel=1e-5
    )


def test_the_model_that_was_passed_is_not_changed(samples):
    model = MLPAutoencoder((6,), (8, 3))
    before = arrays(nnx.clone(model))
    trained, _ = train(samples, model=model)
    chex.assert_trees_all_equal(arrays(model), before)
    assert any(map(np.any, jax.tree.leaves(jax.tree.map(np.not_equal, arrays(trained), before))))


def test_equal_keys_give_equal_bits_and_others_do_not(samples):
    (a, one), (b, two), (c, _) = (train(samples, key=jax.random.key(seed)) for seed in (1, 1, 2))
    chex.assert_trees_all_equal(arrays(a), arrays(b))
    assert [row.train_loss for row in one] == [row.train_loss for row in two]
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(arrays(a), arrays(c))


def test_a_full_batch_is_one_step_of_the_textbook(samples):
    model = MLPAutoencoder((6,), (8, 3))
    trained, _ = train(
        samples, model=model, epochs=1, batch_size=len(samples), optimizer=optax.sgd(0.5)
    )

    def loss(params):
        merged = nnx.merge(graphdef, params)
        return bce(jax.vmap(merged)(samples).prediction, samples)

    graphdef, params = nnx.split(model)
    gradient = jax.grad(loss)(nnx.as_pure(params))
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, nnx.as_pure(params), gradient)
    got = nnx.as_pure(nnx.state(trained))
    chex.assert_trees_all_close(got, expected, rtol=1e-4, atol=1e-6)


def test_the_epochs_loss_does_not_depend_on_the_batch_size(samples):
    still = optax.sgd(0.0)
    losses = [
        train(samples, batch_size=size, optimizer=still)[1][0].train_loss for size in (1, 7, 45)
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)


def test_training_again_with_the_same_parts_does_not_compile_again(samples):
    optimizer = optax.adam(1e-3)
    train(samples, optimizer=optimizer)
    compiled = advance._cache_size()
    train(samples, optimizer=optimizer, epochs=5, key=jax.random.key(3))
    assert advance._cache_size() == compiled


def test_a_loss_is_the_objective_of_its_reconstruction(samples):
    objective = Objective({"reconstruction": reconstruction(bce)})
    one, two = train(samples), train(samples, loss=None, objective=objective)
    chex.assert_trees_all_equal(arrays(one[0]), arrays(two[0]))


def test_each_epoch_is_reported_when_it_is_done(samples):
    rows = []
    _, history = train(samples, callbacks=[lambda state, row: rows.append(row)])
    assert tuple(rows) == history.epochs
    assert [row.epoch for row in rows] == [1, 2, 3]
    assert history[-1].test_loss is None
    assert all(row.samples_per_second > 0 for row in rows)
    assert history.compile_seconds > 0
    assert history.stopped is None


def test_a_bar_is_shown_on_stderr(samples, capsys):
    train(samples, show_progress=True)
    captured = capsys.readouterr()
    assert "epoch 3/3" in captured.err
    assert "samples/s" in captured.err
    assert captured.out == ""


def test_control_c_keeps_the_epochs_that_are_done(samples):
    def interrupt(state, row):
        if row.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.warns(UserWarning, match="interrupted in epoch 3; epochs 1 to 2 are kept"):
        model, history = train(samples, epochs=1000, callbacks=[interrupt])
    two, _ = train(samples, epochs=2)
    assert len(history) == 2
    assert history.stopped == "interrupted in epoch 3"
    chex.assert_trees_all_equal(arrays(model), arrays(two))


def test_divergence_keeps_the_epochs_before_it(samples):
    """SGD whose learning rate explodes after two epochs of five steps."""
    optimizer = optax.sgd(lambda step: np.float32(0.1) + np.float32(1e30) * (step >= 12))
    with pytest.warns(
        UserWarning, match=r"not finite.*epoch 3; lower the.*; epochs 1 to 2 are kept"
    ):
        model, history = train(samples, loss=mse, optimizer=optimizer, epochs=9)
    assert len(history) == 2
    assert np.isfinite(reconstruct(model, samples)).all()


def test_control_c_before_the_first_epoch_is_done_is_raised(samples, monkeypatch):
    def interrupt(*arguments):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(_samples, "shuffled", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(samples)


@pytest.mark.parametrize("learning_rate", [1e30, np.inf])
def test_divergence_in_the_first_epoch_is_raised(samples, learning_rate):
    with pytest.raises(FloatingPointError, match="of epoch 1; lower the learning rate"):
        train(samples, loss=mse, optimizer=optax.sgd(learning_rate))


def test_float64_stays_float64(samples):
    with jax.enable_x64(True):
        X = samples.astype(np.float64)
        model, history = train(X, model=MLPAutoencoder((6,), (8, 3)))
        assert history[-1].train_loss < history[0].train_loss
        assert evaluate(model, X)["mse"] == pytest.approx(float(mse(reconstruct(model, X), X)))


@pytest.mark.parametrize("convert", [lambda X: X.astype(np.float64), np.ndarray.tolist])
def test_numpys_own_floats_and_lists_are_taken(samples, convert):
    model = MLPAutoencoder((6,), (8, 3))
    got, expected = (train(X, model=model)[0] for X in (convert(samples), samples))
    chex.assert_trees_all_equal(arrays(got), arrays(expected))


def test_a_batch_larger_than_the_data_is_all_of_them(samples):
    (a, one), (b, two) = (train(samples, batch_size=size) for size in (45, 1000))
    chex.assert_trees_all_equal(arrays(a), arrays(b))
    assert [row.train_loss for row in one] == [row.train_loss for row in two]


def test_few_samples_make_one_batch(samples):
    one, all_samples = (train(samples, batch_size=size)[0] for size in (None, 45))
    chex.assert_trees_all_equal(arrays(one), arrays(all_samples))


@pytest.mark.parametrize(
    "name", ["huber", "shared_gaussian_nll", "learned_gaussian_nll", "poisson_nll"]
)
def test_losses_of_every_kind_are_lowered_and_evaluated(name, samples):
    loss = LOSSES[name]
    model = MLPAutoencoder((6,), (8, 3), likelihood=likelihood_for(loss))
    model, history = train(samples, model=model, loss=loss, epochs=20, optimizer=optax.adam(1e-2))
    value = evaluate(model, samples, {"loss": loss}, batch_size=7)["loss"]
    assert value < history[1].train_loss < history[0].train_loss
    assert value == pytest.approx(evaluate(model, samples, {"loss": loss})["loss"], rel=1e-5)


def test_codes_are_drawn_to_the_prior_by_pairs_of_samples(samples):
    terms = {"reconstruction": reconstruction(bce), "prior": prior_matching(10.0)}
    optimizer = optax.adam(1e-2)
    _, history = train(samples, loss=None, objective=terms, epochs=20, optimizer=optimizer)
    assert history[-1].train_loss < history[0].train_loss


def test_a_mapping_of_terms_is_an_objective(samples):
    terms = {"reconstruction": reconstruction(bce)}
    got, expected = train(samples, loss=None, objective=terms)[0], train(samples)[0]
    chex.assert_trees_all_equal(arrays(got), arrays(expected))


def test_hooks_see_the_model_before_training_and_monitors_during_it(samples):
    seen, watched = [], []
    model = MLPAutoencoder((6,), (8, 3))
    trained, history = train(
        samples,
        model=model,
        before=[lambda *arguments: seen.append(arguments)],
        monitors=[lambda model, row: watched.append((row.epoch, arrays(model)))],
    )
    ((first, objective, data),) = seen
    assert first is model
    assert list(objective) == ["reconstruction"]
    assert data is samples
    assert [epoch for epoch, _ in watched] == [1, 2, 3]
    chex.assert_trees_all_equal(watched[-1][1], arrays(trained))
    assert history[-1].updates == 15


def test_every_term_is_logged_and_does_not_depend_on_the_batch_size(samples):
    terms = {"reconstruction": reconstruction(bce), "code": latent_term(l1, coefficient=0.1)}
    rows = [
        train(samples, loss=None, objective=terms, epochs=1, batch_size=size,
              optimizer=optax.sgd(0.0))[1][0]
        for size in (1, 7, 45)
    ]  # fmt: skip
    for row in rows:
        assert row.train_loss == pytest.approx(
            row.train_terms["reconstruction"] + 0.1 * row.train_terms["code"], rel=1e-6
        )
        assert row.train_terms == pytest.approx(rows[0].train_terms, rel=1e-6)
        assert row.metrics()["train_code"] == row.train_terms["code"]


def test_a_clipped_gradient_moves_the_parameters_by_its_norm(samples):
    model = MLPAutoencoder((6,), (8, 3))
    trained, _ = train(
        samples, model=model, epochs=1, batch_size=45, optimizer=optax.sgd(1.0), clip=1e-3
    )
    moved = jax.tree.map(lambda a, b: a - b, arrays(trained), arrays(model))
    assert optax.tree_utils.tree_norm(moved) == pytest.approx(1e-3, rel=1e-3)


@pytest.fixture
def overflowing(samples):
    """Samples of which one is finite, and its square is not."""
    samples[3] = 3e38
    return samples


def test_updates_that_are_not_finite_are_skipped_and_counted(overflowing):
    """Those of one batch of five in each of three epochs."""
    model, history = train(overflowing, loss=mse, on_nonfinite="skip")
    assert history[-1].skipped == 3
    assert history[-1].updates == 12
    assert np.isfinite(reconstruct(model, overflowing[:3])).all()


def test_an_update_that_breaks_the_optimizer_is_skipped(samples):
    # Its square overflows, and what Adam divides by would stay infinite for good.
    huge = {"r": reconstruction(mse, optax.piecewise_constant_schedule(1.0, {2: 1e25, 3: 1e-25}))}
    steps, seen = optax.adam(1e-2), []
    _, history = train(
        samples, loss=None, objective=huge, optimizer=steps, epochs=1, on_nonfinite="skip",
        callbacks=[lambda state, row: seen.append(state.optimizer)],
    )  # fmt: skip
    assert history[-1].skipped >= 1
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(seen))


def test_an_update_that_is_skipped_ends_nothing_where_its_loss_would(overflowing):
    objective = {"log": dataclasses.replace(reconstruction(mse), finish=jnp.log)}
    _, history = train(overflowing, loss=None, objective=objective, on_nonfinite="skip")
    assert history[-1].skipped == 3
    assert len(history) == 3


def test_an_epoch_whose_updates_are_all_skipped_ends_training(samples):
    with pytest.raises(FloatingPointError, match="all updates of epoch 1 were dropped"):
        train(samples, optimizer=optax.sgd(np.inf), on_nonfinite="skip")


def test_a_test_loss_that_is_not_finite_is_named_with_its_term(samples):
    data = Dataset("random", samples, np.full((2, 6), 3e38, np.float32), "none", "none")
    with pytest.raises(FloatingPointError, match=r"the test loss is not finite.*reconstruction = "):
        train(data, model=MLPAutoencoder((6,), (8, 3)), loss=mse)


def test_a_model_is_evaluated_in_its_mode_for_evaluation(samples):
    class Noisy(MLPAutoencoder):
        deterministic = False

        def __call__(self, x, *, key=None):
            return super().__call__(x if self.deterministic else x * 0)

    data = Dataset("random", samples, samples, "none", "none")
    model, history = train(data, model=Noisy((6,), (8, 3)))
    assert history[-1].test_loss == pytest.approx(evaluate(model, samples, {"bce": bce})["bce"])
    assert not np.allclose(reconstruct(model, samples)[0], reconstruct(model, samples)[1])


def test_the_average_of_the_parameters_is_evaluated_and_returned(samples):
    data = Dataset("random", samples, samples, "as they are", "the same")
    model, history = train(data, model=MLPAutoencoder((6,), (8, 3)), average_decay=0.5)
    last, _ = train(data, model=MLPAutoencoder((6,), (8, 3)))
    assert history[-1].test_loss == pytest.approx(evaluate(model, samples)["bce"], rel=1e-5)
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(arrays(model), arrays(last))


MISTAKES = {
    "no loss": ({"loss": None}, TypeError, "either loss= or objective="),
    "no epochs": ({"epochs": 0}, ValueError, "epochs is 0"),
    "no batch": ({"batch_size": 0}, ValueError, "batch_size is 0, expected at least 1"),
    "a term with the sum's name": (
        {"loss": None, "objective": {"loss": reconstruction(mse)}},
        ValueError,
        "called 'loss'",
    ),
    "an unknown policy": ({"on_nonfinite": "hope"}, ValueError, "expected 'stop' or 'skip'"),
    "no norm": ({"clip": 0.0}, ValueError, "clip is 0.0, expected a positive number"),
    "nothing to resume": ({"resume": True}, TypeError, "needs checkpoints="),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake, samples):
    arguments, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message):
        train(samples, **arguments)


# In a process of its own, where the tests' type checker does not refuse them earlier.
TYPES = """
import jax, jaxae, numpy, optax
from jaxae.losses import mse, squared_error
X = jax.numpy.ones((20, 6))
model = jaxae.models.MLPAutoencoder((6,), (2,))
def build(rngs):
    return jaxae.models.MLPAutoencoder((6,), (2,), rngs=rngs)
class Kept:
    closed = False
    def log(self, epoch, metrics):
        pass
    def close(self):
        self.closed = True
kept = Kept()
key = jax.random.key(0)
scheduled = optax.inject_hyperparams(optax.sgd)(optax.linear_schedule(0.0, 1.0, 9))
rates = {"learning_rate": [0.1, 0.2]}
for arguments, message in (
    (dict(loss="mse"), "loss is 'mse', expected a Loss"),
    (dict(loss=squared_error), "expected a Loss, e.g. jaxae.losses.mse or Loss(squared_error)"),
    (dict(loss=mse, optimizer=1e-3), "optimizer is 0.001, expected e.g. optax.adam(1e-3)"),
    (dict(objective={"r": mse}), "term 'r' is Loss(squared_error"),
    (dict(loss=mse, key=jax.random.PRNGKey(0)), "expected a random key, e.g. jax.random.key(0)"),
    (dict(loss=mse, key=jax.random.split(key)), "key has shape (2,), expected one random key"),
    (dict(loss=mse, seeds=2), "model is a MLPAutoencoder, expected with seeds= a function"),
    (dict(model=build, loss=mse), "model is function build, expected an NNX module"),
    (dict(model=build, loss=mse, seeds=key), "seeds is random keys of shape ()"),
    (dict(model=build, loss=mse, seeds=2, hyperparameters=rates), "the optimizer holds none"),
    (dict(model=build, loss=mse, seeds=2, hyperparameters=rates, optimizer=scheduled), "schedule"),
    (dict(loss=mse, microbatch_size=0), "microbatch_size is 0, expected at least 1"),
    (dict(loss=mse, microbatch_size=-3), "microbatch_size is -3, expected at least 1"),
    (dict(loss=mse, average_decay=3.0), "average_decay is 3.0, expected a number between 0 and 1"),
    (dict(loss=mse, epochs=1.5), "epochs is 1.5, expected a whole number"),
    (dict(loss=mse, callbacks=print), "callbacks is builtin_function_or_method print, expected"),
    (dict(loss=mse, loggers=[kept, print]), "expected objects with the methods log and close"),
    (dict(loss=mse, loggers=kept), "loggers is one Kept, expected a list of loggers: [Kept(…)]"),
):
    try:
        jaxae.fit(**{"model": model, "data": X, "show_progress": False} | arguments)
    except (TypeError, ValueError) as error:
        assert message in str(error), (message, str(error))
    else:
        raise AssertionError(message)
models, _ = jaxae.fit(
    build, X, loss=mse, seeds=numpy.int64(2), epochs=numpy.int64(1), show_progress=False
)
assert len(models) == 2 and kept.closed
"""


def test_arguments_of_another_type_are_named():
    subprocess.run([sys.executable, "-c", TYPES], check=True)


BAD_DATA = {
    "integers": (np.ones((20, 6), np.uint8), TypeError, "uint8.*expected a floating"),
    "no samples": (np.ones((0, 6), np.float32), ValueError, r"\(0, 6\), expected one sample"),
    "NaN": (np.full((20, 6), np.nan, np.float32), ValueError, "NaN or infinity"),
    "another shape": (np.ones((20, 5), np.float32), ValueError, r"\(5,\), expected.*\(6,\)"),
}


@pytest.mark.parametrize("fault", BAD_DATA)
def test_bad_data_are_named(fault):
    X, error, message = BAD_DATA[fault]
    with pytest.raises(error, match=message):
        train(X, model=MLPAutoencoder((6,), (8, 3)))
