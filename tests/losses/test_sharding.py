"""Samples sharded over four devices, by axes of either type: the same values and gradients."""

import os
import subprocess
import sys
from pathlib import Path

# Of every loss in catalogue.py, without and with masks and weights. What it can do with axes of
# the explicit type shows when it is traced; numbers are compared for losses that are no means of
# elementwise errors. (Of all losses, sharded by axes of the automatic type, in test_contract.py.)
QUESTIONS = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxae.losses import Loss
from tests.losses.catalogue import LOSSES, PAIRWISE, SHAPES, WEIGHTS, WHERE, example

def both(loss, arrays, where, weights):
    bare = jax.value_and_grad(loss)(*arrays)
    return bare, jax.value_and_grad(loss)(*arrays, where=where, weights=weights)

def check(name, got, expected):
    (value, gradient), (exact, slopes) = got, expected
    assert np.allclose(value, exact, rtol=2e-6, atol=1e-7), (name, value, exact)
    farthest = abs(np.asarray(gradient) - np.asarray(slopes)).max()
    assert farthest <= 4e-6 * abs(slopes).max(), (name, gradient, slopes)

compiled = jax.jit(both, static_argnums=0)
each = jax.jit(lambda loss, arrays: loss.per_sample(*arrays), static_argnums=0)
compared = {n: x for n, x in LOSSES.items() if n in SHAPES or n == "mse" or not isinstance(x, Loss)}
expected = {n: compiled(x, example(x), WHERE, WEIGHTS) for n, x in compared.items()}
for kind, losses in ((AxisType.Explicit, LOSSES), (AxisType.Auto, compared)):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(kind,))
    rows = NamedSharding(mesh, PartitionSpec("data"))
    with jax.set_mesh(mesh):
        for name, loss in losses.items():
            sharded = jax.device_put((example(loss), WHERE, WEIGHTS), rows)
            assert len(sharded[1].sharding.device_set) == 4
            lowered = compiled.lower(loss, *sharded)
            if name not in PAIRWISE:
                each.lower(loss, sharded[0])
            if name in compared:
                for pair in zip(lowered.compile()(*sharded), expected[name], strict=True):
                    check(name, *pair)
"""


def test_samples_on_four_devices_give_the_same_value_and_gradient():
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", QUESTIONS], env=environment, check=True)
