import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxae.losses import bce, sse
from jaxae.models import MLPAutoencoder
from jaxae.objectives import Objective, reconstruction
from jaxae.training import Chunk, Layout, Step, initial_state
from jaxae.training._loop import advance, begin, chunk_summary, end_chunk, finite, take, values
from jaxae.training._order import in_order

SAMPLES, BATCH = 23, 5


@pytest.fixture
def X(rng):
    return jnp.asarray(rng.random((SAMPLES, 6), np.float32))


def start(loss=bce, learning_rate=1e-2):
    optimizer = optax.adam(learning_rate)
    graphdef, state = initial_state(MLPAutoencoder((6,), (4, 2)), optimizer, jax.random.key(0))
    return Step(graphdef, Objective({"r": reconstruction(loss)}), optimizer), state


LAYOUT = Layout(jax.devices()[:1])


def chunk(X):
    return Chunk(X, None, jnp.asarray(in_order(SAMPLES, BATCH)))


def run(step, state, X, *stops):
    progress = begin(step, state, chunk(X))
    for stop in stops:
        progress = advance(step, LAYOUT, progress, chunk(X), jnp.int32(stop))
    return progress


def test_the_loop_is_its_steps(X):
    step, state = start()
    looped = run(step, state, X, 5)
    for batch in range(5):
        state, _ = jax.jit(step.update)(state, take(chunk(X), jnp.int32(batch)))
    chex.assert_trees_all_close(looped.state.params, state.params, rtol=1e-5, atol=1e-6)
    assert looped.state.step == looped.next == 5


@pytest.mark.parametrize("stops", [(2, 5), (0, 1, 2, 3, 4, 5), (4, 4, 5)])
def test_stopping_on_the_way_changes_no_bit(X, stops):
    step, state = start()
    chex.assert_trees_all_equal(run(step, state, X, *stops), run(step, state, X, 5))


def test_stopping_elsewhere_does_not_compile_again(X):
    step, state = start()
    run(step, state, X, 1)
    compiled = advance._cache_size()
    run(step, state, X, 2, 4, 5)
    assert advance._cache_size() == compiled


@pytest.mark.parametrize("loss", [bce, sse], ids=lambda loss: loss.name)
def test_an_epochs_loss_counts_each_sample_once(X, loss):
    """With a learning rate of 0 it is the loss of all samples, the ragged batch at its weight."""
    step, state = start(loss, learning_rate=0.0)
    progress = run(step, state, X, 5)
    logits = jax.vmap(MLPAutoencoder((6,), (4, 2)))(X).prediction
    predictions = logits if loss is bce else jax.nn.sigmoid(logits)
    expected = pytest.approx(float(loss(predictions, X)), rel=1e-6)
    nothing = jax.tree.map(jnp.zeros_like, step.summary(progress.means))
    _, trained = end_chunk(step, progress, nothing)
    tested = chunk_summary(step, LAYOUT, state, chunk(X))
    for summary in (trained, tested):
        assert values(step, summary, state.step).loss == expected
        assert values(step, summary, state.step).terms["r"] == expected


def test_the_loop_stops_at_the_first_loss_that_is_not_finite(X):
    step, state = start()
    poisoned = X.at[7].set(jnp.nan)  # in the second batch
    progress = run(step, state, poisoned, 5)
    assert progress.next == 2
    assert not finite(progress)


def test_parameters_that_are_not_finite_are_seen(X):
    step, state = start(learning_rate=np.inf)
    assert finite(run(step, state, X, 0))
    assert not finite(run(step, state, X, 1))
    assert not finite(run(step, state, X, 0), (jnp.float32(np.inf),))


def test_padding_is_taken_as_the_batchs_first_sample_with_weight_zero(X):
    batch = take(Chunk(X, None, jnp.array([[3, -1]])), jnp.int32(0))
    assert (batch.input == X[jnp.array([3, 3])]).all()
    assert batch.weight.tolist() == [1, 0]
    assert batch.index.tolist() == [3, -1]


def test_a_sample_keeps_its_index_in_all_of_the_data(X):
    batch = take(Chunk(X[10:], jnp.arange(10, SAMPLES), jnp.array([[2, -1]])), jnp.int32(0))
    assert (batch.input[0] == X[12]).all()
    assert batch.index.tolist() == [12, -1]
