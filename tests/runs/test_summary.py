import itertools

import jax
import numpy as np
import pytest

import jaxae
from jaxae.data import _stream, load, stream
from jaxae.evaluation import evaluate, pca_mse
from jaxae.runs import load_model
from jaxae.runs._summary import _for_pca

# The list; a run may say more.
NAMES = {
    *("data", "model", "layers", "loss", "epochs", "batch_size", "seed", "parameters", "device"),
    *("jax_version", "train_loss", "test_loss", "test_bce", "test_mse", "test_sse", "pca_mse"),
    *("samples_per_second", "compile_seconds", "wall_seconds"),
}


def test_the_summary_has_all_that_it_must(run):
    assert run.summary.keys() >= NAMES


def test_it_says_what_was_done(run):
    expected = {
        "data": "digits",
        "model": "mlp",
        "layers": (16, 4),
        "loss": "bce",
        "epochs": 2,
        "stopped": None,
        "batch_size": 100,
        "learning_rate": 0.01,
        "seed": 0,
        "scaling": "divided by 16, the largest value",
        "train_samples": 1438,
        "test_samples": 359,
        "device": jax.devices()[0].device_kind,
        "jax_version": jax.__version__,
        "jaxae_version": jaxae.__version__,
    }
    assert {name: run.summary[name] for name in expected} == expected


def test_parameters_are_kernels_and_biases(run):
    sizes = (64, 16, 4, 16, 64)
    expected = sum(n * m + m for n, m in itertools.pairwise(sizes))
    assert run.summary["parameters"] == expected


def test_its_metrics_are_the_losses_over_the_test_samples(run):
    digits, metrics = load("digits"), evaluate(load_model(run.path), load("digits").test)
    assert {name: run.summary[f"test_{name}"] for name in metrics} == metrics
    assert run.summary["test_loss"] == pytest.approx(run.summary["test_bce"], rel=1e-5)
    assert run.summary["test_sse"] == pytest.approx(run.summary["test_mse"] * 359 * 64, rel=1e-5)
    assert run.summary["pca_mse"] == pca_mse(digits.train, digits.test, 4)


def test_pca_is_fitted_to_as_much_of_a_stream_as_some_megabytes_hold(tmp_path, monkeypatch):
    rows = np.linspace(0, 1, 60, dtype=np.float32).reshape(20, 3)
    np.save(tmp_path / "x.npy", rows)
    monkeypatch.setattr(_stream, "KEPT_BYTES", 4 * 3 * 5)
    np.testing.assert_array_equal(_for_pca(stream(tmp_path / "x.npy")), rows[:5])


def test_its_times_are_those_of_the_run(run):
    seconds = {name: run.summary[name] for name in ("compile_seconds", "wall_seconds")}
    assert 0 < seconds["compile_seconds"] < seconds["wall_seconds"]
    assert run.summary["samples_per_second"] > 2 * 1438 / seconds["wall_seconds"]
