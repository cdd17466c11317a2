import os
import subprocess
import sys
from pathlib import Path

import chex
import jax
import numpy as np
import optax
import pytest
from flax import nnx

from jaxae.data import Samples, Stream, Streams, load, stream
from jaxae.data._scaling import Scaling
from jaxae.losses import mse
from jaxae.models import MLPAutoencoder
from jaxae.training import Checkpoints, Layout, _epoch, _streamed, fit
from jaxae.training._loop import advance
from jaxae.training._order import PADDING
from jaxae.training._streamed import Streamed

SAMPLES, BATCH_SIZE = 203, 10
ADAM = optax.adam(1e-3)


@pytest.fixture(scope="module")
def digits():
    return load("digits").train[:SAMPLES]


@pytest.fixture
def streamed(digits, tmp_path, monkeypatch):
    """The digits as a stream, in chunks of 5 batches."""
    monkeypatch.setattr(_streamed, "CHUNK_BYTES", 5 * BATCH_SIZE * 8 * 8 * 4)
    np.save(tmp_path / "digits.npy", digits)
    return stream(tmp_path / "digits.npy")


def train(data, **arguments):
    defaults = {"loss": mse, "optimizer": ADAM, "epochs": 2, "batch_size": BATCH_SIZE}
    model = MLPAutoencoder((8, 8), (8, 4), rngs=nnx.Rngs(0))
    return fit(model, data, **(defaults | {"show_progress": False} | arguments))


def arrays(model):
    return nnx.to_pure_dict(nnx.state(model))


def visited(chunks):
    """The samples and their indices in the order of the batches; padding is checked and left."""
    rows, indices = [], []
    for chunk in chunks:
        for places in np.asarray(chunk.order):
            present = places[places != PADDING]
            rows.append(np.asarray(chunk.samples)[present])
            indices.append(np.asarray(chunk.index)[present])
    return np.concatenate(rows), np.concatenate(indices)


@pytest.mark.parametrize("batch_size", [1, 10, 50, 51, SAMPLES])
def test_an_epochs_chunks_hold_every_sample_once_and_are_all_of_one_shape(
    streamed, digits, batch_size
):
    source = Streamed(streamed, batch_size, Layout())
    chunks = list(source.chunks(jax.random.key(1), 1, 0))
    assert len(chunks) == -(-source.batches // source.batches_a_chunk)
    assert len({str(jax.tree.map(np.shape, x)) for x in chunks}) == 1
    rows, indices = visited(chunks)
    assert sorted(indices) == list(range(SAMPLES))
    np.testing.assert_array_equal(rows, digits[indices])
    np.testing.assert_array_equal(visited(source.in_order())[1], np.arange(SAMPLES))


def test_an_epoch_goes_on_from_any_chunk(streamed):
    source = Streamed(streamed, BATCH_SIZE, Layout())
    _, whole = visited(source.chunks(jax.random.key(1), 3, 0))
    size = source.batches_a_chunk * BATCH_SIZE
    for first in range(source.batches // source.batches_a_chunk):
        _, rest = visited(source.chunks(jax.random.key(1), 3, first))
        np.testing.assert_array_equal(rest, whole[first * size :])


def test_streaming_changes_no_bit_of_the_parameters(streamed, digits):
    tested = digits[:25]
    resident, expected = train(Streams(digits, tested))
    assert Streamed(streamed, BATCH_SIZE, Layout()).batches_a_chunk < 6
    model, history = train(Streams(streamed, tested))
    chex.assert_trees_all_equal(arrays(model), arrays(resident))
    for row, other in zip(history, expected, strict=True):
        assert row.train_loss == pytest.approx(other.train_loss, rel=1e-6)
        assert row.test_loss == other.test_loss


def test_a_stream_is_tested_on_like_an_array(streamed, digits):
    _, expected = train(Streams(digits, digits), epochs=1)
    _, history = train(Streams(digits, streamed), epochs=1)
    assert history[-1].test_loss == pytest.approx(expected[-1].test_loss, rel=1e-6)


def test_all_chunks_of_all_epochs_are_one_compilation(streamed):
    train(streamed)
    compiled = advance._cache_size()
    train(streamed, epochs=3, key=jax.random.key(2))
    assert advance._cache_size() == compiled


@pytest.mark.parametrize("batches", [21, 23, 35])
def test_training_resumed_inside_an_epoch_ends_with_the_same_bits(
    streamed, tmp_path, monkeypatch, batches
):
    expected, _ = train(streamed)
    # One batch is a piece, after which training may be stopped.
    monkeypatch.setattr(_epoch, "SECONDS_A_PIECE", 0.0)
    checkpoints, asked = Checkpoints(tmp_path / "checkpoints"), []

    def stop():
        asked.append(1)
        return "enough" if len(asked) == batches else None

    with pytest.warns(UserWarning, match="enough"):
        stopped, _ = train(streamed, checkpoints=checkpoints, stop=stop)
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(arrays(stopped), arrays(expected))
    resumed, history = train(streamed, checkpoints=checkpoints, resume=True)
    chex.assert_trees_all_equal(arrays(resumed), arrays(expected))
    assert len(history) == 2


def test_a_run_is_not_resumed_with_other_data(streamed, digits, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    train(streamed, checkpoints=checkpoints, epochs=1)
    np.save(tmp_path / "others.npy", digits[::-1])
    with pytest.raises(ValueError, match="a run with another data: 203×8×8 float32"):
        train(stream(tmp_path / "others.npy"), checkpoints=checkpoints, resume=True)


def test_many_models_at_once_are_refused(streamed):
    def build(rngs):
        return MLPAutoencoder((8, 8), (8, 4), rngs=rngs)

    with pytest.raises(TypeError, match=r"seeds= trains each model in an order of its own"):
        fit(build, streamed, loss=mse, seeds=2, show_progress=False)


def test_a_batch_larger_than_the_data_is_all_of_them(streamed):
    _, history = train(streamed, batch_size=204)
    assert history[-1].updates == len(history)


def test_what_breaks_while_it_is_read_ends_training_with_its_name(streamed, tmp_path):
    np.load(tmp_path / "digits.npy", mmap_mode="r+")[150] = np.nan
    with pytest.raises(ValueError, match=r"digits\.npy: sample 150 has values from nan to nan"):
        train(streamed)


def test_more_samples_than_can_be_indexed_are_refused():
    endless = Samples("endless", (2**31, 1), np.dtype(np.uint8), np.zeros)
    with pytest.raises(ValueError, match="2,147,483,648 samples, expected at most 2,147,483,647"):
        Streamed(Stream(endless, Scaling(None, "left")), 100, Layout())


SEVERAL_DEVICES = """
import sys
import chex, jax, numpy as np
from flax import nnx
import jaxae
from jaxae.training import Layout, _streamed

digits = jaxae.data.load("digits").train[:203]
_streamed.CHUNK_BYTES = 5 * 10 * 8 * 8 * 4
np.save(sys.argv[1], digits)
data = jaxae.data.stream(sys.argv[1])

def train(data, **arguments):
    model = jaxae.models.MLPAutoencoder((8, 8), (8, 4), rngs=nnx.Rngs(0))
    model, history = jaxae.fit(
        model, data, loss=jaxae.losses.mse, epochs=1, batch_size=10, show_progress=False,
        layout=Layout(**arguments),
    )
    return nnx.to_pure_dict(nnx.state(model)), history[-1].train_loss

assert len(jax.devices()) == 4
resident, loss = train(digits)
for arguments in ({}, {"shard_data": True}):
    streamed, other = train(data, **arguments)
    chex.assert_trees_all_close(streamed, resident, rtol=1e-6)
    assert abs(loss - other) < 1e-6 * loss
"""


def test_several_devices_stream_what_they_would_hold(tmp_path):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-W", "error", "-c", SEVERAL_DEVICES, str(tmp_path / "x.npy")]
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=os.environ | flags | root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
