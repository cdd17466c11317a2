import subprocess
import sys

import chex
import jax
import pytest
from flax import nnx

from jaxae.losses import mse
from jaxae.models import MLPAutoencoder
from jaxae.training import Checkpoints, fit, load_checkpoint, save_checkpoint


def model(seed=0, widths=(5, 2)):
    return MLPAutoencoder((6,), widths, rngs=nnx.Rngs(seed))


def arrays(model):
    return nnx.to_pure_dict(nnx.state(model))


def test_what_is_loaded_is_what_was_saved_bit_for_bit(tmp_path):
    save_checkpoint(tmp_path / "checkpoint", model(seed=1))
    template = model(seed=2)
    loaded = load_checkpoint(tmp_path / "checkpoint", template)
    chex.assert_trees_all_equal(arrays(loaded), arrays(model(seed=1)))
    chex.assert_trees_all_equal(arrays(template), arrays(model(seed=2)))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(arrays(loaded)))


def test_a_relative_path_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint("here", model())
    assert load_checkpoint("here", model()).feature_shape == (6,)


def test_nothing_is_overwritten(tmp_path):
    save_checkpoint(tmp_path / "checkpoint", model(seed=1))
    with pytest.raises(ValueError, match="exists"):
        save_checkpoint(tmp_path / "checkpoint", model(seed=2))
    chex.assert_trees_all_equal(
        arrays(load_checkpoint(tmp_path / "checkpoint", model())), arrays(model(seed=1))
    )


@pytest.mark.parametrize(
    ("widths", "difference"),
    [
        ((5, 3), r"decoder/layers/0/kernel is \(2, 5\) there, expected \(3, 5\)"),
        ((5, 4, 2), r"decoder/layers/0/bias is \(5,\) there, expected \(4,\)"),
        ((2,), r"decoder/layers/0/bias is \(5,\) there, expected \(6,\)"),
    ],
)
def test_another_model_is_refused_with_the_difference(tmp_path, widths, difference):
    save_checkpoint(tmp_path / "checkpoint", model())
    with pytest.raises(ValueError, match=f"holds another model: {difference}"):
        load_checkpoint(tmp_path / "checkpoint", model(widths=widths))


def test_no_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "nothing", model())


@pytest.mark.parametrize("average_decay", [None, 0.5])
def test_a_runs_best_checkpoint_is_read(average_decay, tmp_path, rng):
    seen, decay = {}, {"average_decay": average_decay}
    fit(
        model(seed=1),
        rng.random((20, 6)).astype("float32"),
        loss=mse,
        epochs=3,
        batch_size=10,
        checkpoints=Checkpoints(tmp_path, keep=3),
        monitors=[lambda model, row: seen.update({row.updates: arrays(model)})],
        show_progress=False,
        **decay,
    )
    for number, expected in seen.items():
        loaded = load_checkpoint(tmp_path / str(number), model(seed=2))
        chex.assert_trees_all_equal(arrays(loaded), expected)
    with pytest.raises(ValueError, match=r"another model: .*kernel is \(2, 5\) there, .* \(3, 5\)"):
        load_checkpoint(tmp_path / "2", model(widths=(5, 3)))


# In a process of its own: after a failed read, threads of Orbax's storage speak to a closed loop.
LOAD = """
import sys
from jaxae.models import MLPAutoencoder
from jaxae.training import load_checkpoint
for path in sys.argv[1:]:
    try:
        load_checkpoint(path, MLPAutoencoder((6,), (5, 2)))
    except ValueError as error:
        print("refused:", " ".join(str(error).split()))
"""


def test_broken_checkpoints_are_named(tmp_path):
    """All files empty, or none left but one."""
    for kept in (None, "orbax.checkpoint", "_METADATA", "manifest.ocdbt"):
        save_checkpoint(tmp_path / str(kept), model())
        for path in (tmp_path / str(kept)).rglob("*"):
            if path.is_file() and path.name != kept:
                path.unlink() if kept else path.write_bytes(b"")
    folders = sorted(tmp_path.iterdir())
    process = [sys.executable, "-c", LOAD, *map(str, folders)]
    lines = subprocess.run(process, check=True, capture_output=True, text=True).stdout.splitlines()
    refusals = [line for line in lines if line.startswith("refused:")]
    assert len(refusals) == len(folders) == 4
    for folder, refusal in zip(folders, refusals, strict=True):
        assert refusal.startswith(f"refused: {folder}: broken checkpoint (")
        assert len(refusal) < 500
