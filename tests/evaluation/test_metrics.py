import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.evaluation import evaluate
from jaxae.losses import LOSSES, Loss, gaussian, mse, squared_error
from jaxae.models import MLPAutoencoder, reconstruct


@pytest.fixture
def samples(rng):
    return rng.random((37, 4, 2), np.float32)


@pytest.mark.parametrize("batch_size", [1, 10, 37, 1000])
def test_a_metric_is_the_loss_of_the_same_name_over_all_samples(samples, batch_size):
    model = MLPAutoencoder((4, 2), (3,))
    metrics = evaluate(model, samples, batch_size=batch_size)
    logits = jax.vmap(model)(jnp.asarray(samples)).prediction
    expected = {
        name: LOSSES[name](logits if name == "bce" else reconstruct(model, samples), samples)
        for name in ("mse", "mae", "sse", "sse_per_sample", "bce")
    }
    assert metrics == pytest.approx({k: float(v) for k, v in expected.items()}, rel=1e-5)


def test_losses_of_ones_own_are_metrics(samples):
    model = MLPAutoencoder((4, 2), (3,))
    own = evaluate(model, samples, {"per sample": Loss(squared_error, unit="sample")})
    assert own == {"per sample": evaluate(model, samples)["sse_per_sample"]}


def test_cross_entropy_is_left_out_where_there_are_no_logits(samples):
    model = MLPAutoencoder((4, 2), (3,), likelihood=gaussian)
    metrics = evaluate(model, samples)
    assert "bce" not in metrics
    predictions = jax.vmap(model)(jnp.asarray(samples)).prediction
    assert metrics["mse"] == pytest.approx(float(mse(predictions, samples)), rel=1e-5)


@pytest.mark.parametrize("function", [evaluate, reconstruct])
def test_a_batch_size_below_one_is_refused(samples, function):
    with pytest.raises(ValueError, match="batch_size is 0"):
        function(MLPAutoencoder((4, 2), (3,)), samples, batch_size=0)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="no samples"):
        evaluate(MLPAutoencoder((4,), (2,)), np.zeros((0, 4), np.float32))
