import dataclasses
import json
import math
from pathlib import Path

import chex
import pytest
from flax import nnx
from hypothesis import given, settings, strategies as st

from jaxae.data import load
from jaxae.losses import LOSSES
from jaxae.models import MODELS, MLPAutoencoder
from jaxae.runs import Config

fields = {
    "data": st.text(),
    "data_dir": st.none() | st.text(),
    "model": st.sampled_from(list(MODELS)),
    "layers": st.none() | st.lists(st.integers(1, 1000), min_size=1).map(tuple),
    "loss": st.sampled_from(list(LOSSES)),
    "epochs": st.none() | st.integers(1),
    "batch_size": st.integers(1),
    "learning_rate": st.floats(0, exclude_min=True, allow_infinity=False),
    "seed": st.integers(0, 2**32 - 1),
    "feature_shape": st.none() | st.lists(st.integers(1, 1000)).map(tuple),
}


def arrays(model):
    return nnx.to_pure_dict(nnx.state(model))


@settings(deadline=None)
@given(fields=st.fixed_dictionaries(fields))
def test_a_config_comes_back_from_its_json(fields, tmp_path_factory):
    config = Config(**fields)
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_text(json.dumps(config.to_json()))
    assert Config.from_file(path) == config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "mpl"}, "unknown model 'mpl', did you mean 'mlp'"),
        ({"loss": "mze"}, "unknown loss 'mze', did you mean 'mse'"),
        ({"epochs": 0}, "epochs is 0, expected at least 1"),
        ({"batch_size": 0}, "batch_size is 0, expected at least 1"),
        ({"seed": -1}, "seed is -1, expected at least 0"),
        ({"seed": 2**32}, "seed is 4294967296, expected at most 4294967295"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, expected a positive number"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0, expected a positive number"),
        ({"learning_rate": math.nan}, "learning_rate is nan, expected a positive number"),
        ({"learning_rate": math.inf}, "learning_rate is inf, expected a positive number"),
    ],
)
def test_what_cannot_be_run_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Config(**fields)


@pytest.mark.parametrize("layers", [(), (0,), (16, -4)])
def test_layers_that_the_model_does_not_take_are_refused(layers):
    config = Config(layers=layers).resolve(load("digits"))
    with pytest.raises(ValueError, match="expected one or more positive integers"):
        config.build_model()


def test_a_model_of_no_known_shape_is_not_built():
    with pytest.raises(ValueError, match=r"feature_shape is not known; call resolve\(dataset\)"):
        Config().build_model()


def test_defaults_are_the_models_widths_and_ten_thousand_updates():
    digits = load("digits")
    config = Config(batch_size=32).resolve(digits)
    assert config.layers == (128, 64, 8)
    assert config.epochs == math.ceil(10_000 / math.ceil(1438 / 32))
    assert config.resolve(digits) == config


def test_what_is_asked_for_is_kept():
    config = Config(layers=(4,), epochs=3, seed=5)
    resolved = config.resolve(load("digits"))
    assert resolved == dataclasses.replace(config, feature_shape=(8, 8))


def test_paths_hold_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    digits = load("digits")
    assert Config(data="a.npy").resolve(digits).data == str(tmp_path / "a.npy")
    assert Config(data="~/a.npy").resolve(digits).data == "/home/me/a.npy"
    named = Config(data="mnist", data_dir="files").resolve(digits)
    assert (named.data, named.data_dir) == ("mnist", str(tmp_path / "files"))


def test_the_model_is_drawn_from_the_seed():
    config = Config(layers=(5, 2), seed=3, feature_shape=(6,))
    expected = MLPAutoencoder((6,), (5, 2), rngs=nnx.Rngs(3))
    chex.assert_trees_all_equal(arrays(config.build_model()), arrays(expected))
    other = dataclasses.replace(config, seed=4).build_model()
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(arrays(other), arrays(expected))


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_the_one_of_this_name(name):
    assert Config(loss=name).build_loss() is LOSSES[name]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"layers": 4}',
        '{"layers": [4]}',
        '{"layers": [4], "feature_shape": [3], "sed": 0}',
        '{"layers": [4], "feature_shape": [3], "seed": "0"}',
        '{"layers": [4], "feature_shape": [3], "loss": ["mse"]}',
        "\udcff",
    ],
)
def test_a_file_that_holds_no_config_is_refused(text, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"config.json: not a run's configuration"):
        Config.from_file(path)


def test_a_missing_file_is_missing():
    with pytest.raises(FileNotFoundError):
        Config.from_file(Path("nowhere/config.json"))
