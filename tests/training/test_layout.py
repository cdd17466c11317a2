"""Four devices compute what one does, compiled once, and exchange no more than they need.

The loop over a mesh lowers for TPUs and GPUs as well.
"""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxae.training import Layout
from jaxae.training._order import shuffled

# Of 45 samples in batches of 10: neither is a multiple of four, nor are the last five samples.
QUESTIONS = """
import dataclasses, logging, re
import jax, jax.numpy as jnp, numpy as np, optax
from flax import nnx
from jax import export
from jaxae.losses import bce
from jaxae.models import MLPAutoencoder, reconstruct
from jaxae.objectives import Objective, prior_matching, reconstruction
from jaxae.training import Layout, Step, fit, initial_state
from jaxae.training._loop import advance, begin
from jaxae.training._samples import Resident

compiled = []
class Compilations(logging.Handler):
    def emit(self, record):
        compiled.extend(re.findall(r"^Compiling jit\\((advance)\\)", record.getMessage()))
logging.getLogger("jax").addHandler(Compilations())
logging.getLogger("jax").propagate = False
jax.config.update("jax_log_compiles", True)

one = Layout(jax.devices()[:1])
LAYOUTS = {
    "all": Layout(),
    "parameters": Layout(shard_parameters=True),
    "data": Layout(shard_data=True),
    "three": Layout(jax.devices()[1:], shard_parameters=True, shard_data=True),
}
X = np.random.default_rng(0).random((45, 6))
OPTIMIZER = optax.adam(1e-2)
OBJECTIVE = {"r": reconstruction(bce), "pairs": prior_matching()}

def train(dtype, layout, **arguments):
    model = MLPAutoencoder((6,), (8, 4))
    nnx.update(model, jax.tree.map(lambda x: x.astype(dtype), nnx.state(model)))
    compiled.clear()
    trained, history = fit(
        model, X.astype(dtype), objective=OBJECTIVE, layout=layout, epochs=3, batch_size=10,
        optimizer=OPTIMIZER, show_progress=False, **arguments,
    )
    assert len(compiled) == 1, compiled
    return trained, history

def same(got, expected, limit):
    for a, b in zip(map(np.asarray, jax.tree.leaves(got)), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        assert abs(a - b).max() <= limit * abs(b).max(), (a, b)

with jax.enable_x64(True):
    expected, rows = train(np.float64, one)
    for name, layout in LAYOUTS.items():
        pieces = {"microbatch_size": 4} if name == "data" else {}
        got, history = train(np.float64, layout, **pieces)
        same(nnx.state(got), nnx.state(expected), 1e-12)
        losses = [np.array([row.train_loss for row in epochs]) for epochs in (history, rows)]
        same(*losses, 1e-12)
        assert np.isfinite(reconstruct(got, X)).all()
        spread = {len(x.sharding.device_set) for x in jax.tree.leaves(nnx.state(got))}
        assert (spread == {1}) == (not layout.shard_parameters), (name, spread)

def collectives(text):
    found = re.findall(r"= (\\(.*?\\)|\\S+) (all-\\w+|collective-permute|reduce-scatter)", text)
    return [(operation, shape) for shape, operation in found]

# The last batch's gradient, which is kept, in float32, and what the devices exchange for it.
KEPT = optax.trace(decay=0.0)
graphdef, state = initial_state(MLPAutoencoder((6,), (8, 4)), KEPT, jax.random.key(0))
def update(layout, microbatch_size=None):
    step = Step(
        graphdef, Objective({"r": reconstruction(bce)}), KEPT, microbatch_size, shards=layout.count
    )
    chunk = next(Resident.of("data", X.astype(np.float32), 10, layout).in_order())
    progress = begin(step, layout.place_state(state), chunk)
    progress = layout.place(progress._replace(next=jnp.int32(4), state=None))
    arguments = progress._replace(state=layout.place_state(state)), chunk
    if layout.shard_parameters:
        loop = export.export(advance, platforms=["tpu", "cuda"])
        assert loop(step, layout, *arguments, jnp.int32(0)).nr_devices == layout.count
    program = advance.lower(step, layout, *arguments, jnp.int32(0)).compile()
    return program(*arguments, jnp.int32(5)), collectives(program.as_text())

expected, exchanged = update(one)
assert not exchanged
for name, layout in LAYOUTS.items():
    for microbatch_size in (3,) if name == "data" else (None, 3) if name == "all" else (None,):
        got, exchanged = update(layout, microbatch_size)
        same(got.state.optimizer, expected.state.optimizer, 1e-6)
        gathered = [shape for kind, shape in exchanged if kind != "all-reduce"]
        floats = [shape for shape in gathered if shape.startswith("f32")]
        assert any(kind == "all-reduce" for kind, _ in exchanged), (name, exchanged)
        if name in ("all", "data"):
            assert not floats, (name, microbatch_size, exchanged)
        else:  # parameters, and no samples, which are six numbers each
            assert floats, (name, exchanged)
        samples = [s for s in gathered if re.match(r"f32\\[(\\d+,)*6\\]", s)]
        assert all(re.match(r"f32\\[(8,)?6\\]", s) for s in samples), (name, exchanged)
kernel = got.state.params["encoder"]["layers"][0]["kernel"]
assert kernel.sharding.shard_shape(kernel.shape) == (2, 8), kernel.sharding
"""


def test_four_devices_compute_what_one_does_and_fetch_no_samples():
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", QUESTIONS], env=environment, check=True)


@settings(deadline=None, max_examples=50)
@given(samples=st.integers(1, 200), batch_size=st.integers(1, 250), devices=st.integers(1, 9))
def test_every_sample_is_visited_once_on_any_number_of_devices(samples, batch_size, devices):
    order = shuffled(jax.random.key(0), 1, samples, batch_size, devices)
    assert order.shape[1] % devices == 0
    assert sorted(order[order >= 0]) == list(range(samples))
    assert ((order >= 0).sum(1)[:-1] == batch_size).all()
    assert (order[:, 0] >= 0).all()


def test_a_single_device_needs_no_mesh():
    layout = Layout(jax.devices()[:1], shard_parameters=True, shard_data=True)
    placed = layout.place_data(np.ones((5, 2), np.float32))
    assert layout.mesh is None
    assert placed.shape == (5, 2)
    assert placed.devices() == {jax.devices()[0]}
    assert layout.local(placed) is placed


@pytest.mark.parametrize(
    ("devices", "fault"),
    [
        ((), (ValueError, "no devices")),
        ((0, 1), (TypeError, "0 is no device, expected some of jax.devices")),
        ((jax.devices()[0],) * 2, (ValueError, "expected each of them once")),
    ],
)
def test_devices_that_do_not_fit_are_named(devices, fault):
    with pytest.raises(fault[0], match=fault[1]):
        Layout(devices)


def test_equal_layouts_are_equal_and_compile_once():
    assert Layout(jax.devices()) == Layout()
    assert hash(Layout(list(jax.devices()))) == hash(Layout())
    assert Layout() != Layout(shard_data=True)
