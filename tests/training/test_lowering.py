"""The training step lowers for accelerators that are not at hand."""

import jax
import jax.numpy as jnp
import optax
import pytest
from jax import export

from jaxae.losses import bce
from jaxae.models import MLPAutoencoder
from jaxae.objectives import Objective, prior_matching, reconstruction
from jaxae.training import Chunk, Layout, Step, initial_state
from jaxae.training._loop import advance, begin
from jaxae.training._order import in_order

SAMPLES, BATCH = 23, 8
OBJECTIVE = Objective({"reconstruction": reconstruction(bce), "prior": prior_matching()})
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
EVERYTHING = {
    "microbatch_size": 4,
    "compute_dtype": jnp.bfloat16,
    "average_decay": 0.99,
    "skip_nonfinite": True,
}


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "with everything"])
def test_the_loop_lowers_for_tpu_and_cuda(options):
    graphdef, state = initial_state(
        MLPAutoencoder((6,), (8, 4)), OPTIMIZER, jax.random.key(0), averaged=bool(options)
    )
    step = Step(graphdef, OBJECTIVE, OPTIMIZER, **options)
    chunk = Chunk(jnp.zeros((SAMPLES, 6)), None, jnp.asarray(in_order(SAMPLES, BATCH)))
    progress, layout = begin(step, state, chunk), Layout(jax.devices()[:1])
    exported = export.export(advance, platforms=["tpu", "cuda"])(
        step, layout, progress, chunk, jnp.int32(3)
    )
    assert exported.platforms == ("tpu", "cuda")
    assert exported.out_avals == tuple(x.aval for x in jax.tree.leaves(progress))
    program = exported.mlir_module()
    assert "stablehlo.while" in program
    assert ("bf16" in program) == ("compute_dtype" in options)
