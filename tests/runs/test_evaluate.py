import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from jaxae.data import load
from jaxae.models import reconstruct
from jaxae.runs import Config, evaluate, load_model, train


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the shared run, to be damaged."""
    return Path(shutil.copytree(run.path, tmp_path / "copy"))


def test_evaluation_gives_the_numbers_of_the_summary(run):
    metrics = evaluate(run.path)
    assert metrics == {name: run.summary[name] for name in metrics}
    assert metrics.keys() >= {"test_bce", "test_mse", "test_sse"}


def test_the_loaded_model_makes_the_error_of_the_summary(run):
    test = load("digits").test
    error = np.mean((reconstruct(load_model(str(run.path)), test) - test) ** 2)
    assert error == pytest.approx(run.summary["test_mse"], rel=1e-5)


def test_a_run_on_a_relative_path_is_evaluated_from_anywhere(tmp_path, monkeypatch, rng):
    np.save(tmp_path / "small.npy", rng.random((50, 6)))
    monkeypatch.chdir(tmp_path)
    config = Config(data="small.npy", layers=(2,), epochs=1, batch_size=16)
    summary = train(config, Path("run"), show_progress=False)
    monkeypatch.chdir("/")
    assert evaluate(tmp_path / "run")["test_mse"] == summary["test_mse"]
    (tmp_path / "small.npy").unlink()
    assert load_model(tmp_path / "run").feature_shape == (6,)
    with pytest.raises(FileNotFoundError, match=f"no file or folder at {tmp_path / 'small.npy'}"):
        evaluate(tmp_path / "run")


def test_a_run_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no run at .*: it has no config.json"):
        evaluate(tmp_path)


def test_a_run_without_a_checkpoint_is_refused(copy):
    shutil.rmtree(copy / "checkpoint")
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        evaluate(copy)


def test_a_configuration_that_is_broken_is_refused(copy):
    (copy / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not a run's configuration"):
        load_model(copy)


@pytest.mark.parametrize("layers", [[16, 5], [16], [16, 4, 4]])
def test_a_configuration_of_another_model_is_refused(layers, copy):
    fields = json.loads((copy / "config.json").read_text()) | {"layers": layers}
    (copy / "config.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="holds another model"):
        load_model(copy)
