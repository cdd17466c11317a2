import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxae.losses import Likelihood, squared_error
from jaxae.models import MLP, MLPAutoencoder


def sizes(model):
    return [layer.kernel.shape for layer in (*model.encoder.layers, *model.decoder.layers)]


def test_the_default_is_the_network_of_the_keras_question():
    network = [784, 128, 64, 28, 64, 128, 784]
    expected = list(itertools.pairwise(network))
    assert sizes(MLPAutoencoder((28, 28))) == expected


def test_the_default_code_of_small_digits_is_eight():
    assert MLPAutoencoder((8, 8))(jnp.zeros((8, 8))).latent.shape == (8,)


@pytest.mark.parametrize("feature_shape", [(), (7,), (4, 5), (3, 4, 2)])
@pytest.mark.parametrize("widths", [(3,), (9, 2)])
def test_any_feature_shape_and_widths(feature_shape, widths):
    model = MLPAutoencoder(feature_shape, widths)
    outputs = model(jnp.ones(feature_shape))
    assert outputs.prediction.shape == feature_shape
    assert outputs.latent.shape == (widths[-1],)


def test_it_is_its_matrix_products(rng):
    model = MLPAutoencoder((6,), (5, 2))
    first, code = model.encoder.layers
    third, last = model.decoder.layers
    x = rng.normal(size=6).astype(np.float32)
    relu = lambda x: np.maximum(x, 0)  # noqa: E731
    h = relu(x @ first.kernel[...] + first.bias[...])
    z = h @ code.kernel[...] + code.bias[...]
    h = relu(z @ third.kernel[...] + third.bias[...])
    outputs = model(jnp.asarray(x))
    np.testing.assert_allclose(outputs.latent, z, rtol=1e-5)
    np.testing.assert_allclose(
        outputs.prediction, h @ last.kernel[...] + last.bias[...], rtol=1e-4, atol=1e-6
    )


def test_the_code_can_be_rectified():
    model = MLPAutoencoder((6,), (5, 4), code_activation=nnx.relu)
    codes = jax.vmap(model.encode)(jax.random.normal(jax.random.key(0), (50, 6)))
    assert codes.min() == 0


def test_kernels_start_glorot_uniform_and_biases_at_zero():
    layer = MLP((784, 128), rngs=nnx.Rngs(0)).layers[0]
    limit = np.sqrt(6 / (784 + 128))
    assert abs(layer.kernel[...]).max() <= limit
    assert float(layer.kernel[...].std()) == pytest.approx(limit / np.sqrt(3), rel=0.01)
    assert (layer.bias[...] == 0).all()


def test_equal_seeds_give_equal_parameters_and_others_do_not():
    kernels = [
        MLPAutoencoder((4,), (2,), rngs=nnx.Rngs(seed)).encoder.layers[0].kernel[...]
        for seed in (1, 1, 2)
    ]
    assert (kernels[0] == kernels[1]).all()
    assert (kernels[0] != kernels[2]).any()


def test_a_likelihood_of_two_parameters_widens_the_prediction():
    two = Likelihood(squared_error, parameters_per_element=2)
    model = MLPAutoencoder((4, 3), (2,), likelihood=two)
    assert model(jnp.zeros((4, 3))).prediction.shape == (4, 3, 2)


@pytest.mark.parametrize("widths", [(), (0,), (5, -1)])
def test_widths_below_one_are_refused(widths):
    with pytest.raises(ValueError, match="expected one or more positive integers"):
        MLPAutoencoder((4,), widths)


def test_a_batch_instead_of_a_sample_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"\(10, 4\), expected one sample of shape \(4,\).*vmap"):
        MLPAutoencoder((4,), (2,))(jnp.zeros((10, 4)))


def test_it_is_ready_for_flax_tree_mode():
    """No shared submodules: every parameter has one path, and a copy is equal."""
    model = MLPAutoencoder((4,), (3, 2))
    copy = nnx.clone(model)
    leaves = jax.tree.leaves(nnx.state(model))
    assert len({id(leaf) for leaf in leaves}) == len(leaves) == 8
    x = jnp.ones(4)
    assert (copy(x).prediction == model(x).prediction).all()
