import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import contractive_penalty, hutchinson_penalty


def encoder(rng, inputs=7, codes=4):
    W = jnp.asarray(rng.normal(0, 0.5, (inputs, codes)).astype(np.float32))
    return W, lambda x: jax.nn.sigmoid(x @ W)


def test_a_sigmoid_layer_has_the_papers_closed_form(rng):
    """Rifai et al. 2011, equation 7: Σ_j (h_j(1 − h_j))² Σ_i W_ij²."""
    W, encode = encoder(rng)
    x = jnp.asarray(rng.normal(size=7).astype(np.float32))
    h = encode(x)
    expected = np.sum((h * (1 - h)) ** 2 * (W**2).sum(0))
    assert contractive_penalty(encode, x) == pytest.approx(float(expected), rel=1e-5)


def test_samples_and_codes_may_have_any_shape(rng):
    _, encode = encoder(rng, 6, 4)
    x = jnp.asarray(rng.normal(size=(2, 3)).astype(np.float32))
    got = contractive_penalty(lambda x: encode(x.reshape(6)).reshape(2, 2), x)
    assert got == pytest.approx(float(contractive_penalty(encode, x.reshape(6))), rel=1e-6)
    estimate = hutchinson_penalty(lambda x: 3 * x, x, key=jax.random.key(0))
    assert estimate == pytest.approx(9 * 6)


def estimates(encode, x, probes, draws):
    keys = jax.random.split(jax.random.key(0), draws)
    estimate = jax.vmap(lambda key: hutchinson_penalty(encode, x, key=key, probes=probes))
    return jax.jit(estimate)(keys)


def test_the_estimate_is_unbiased_and_more_probes_vary_less(rng):
    _, encode = encoder(rng)
    x = jnp.asarray(rng.normal(size=7).astype(np.float32))
    one, sixteen = (estimates(encode, x, probes, 2000) for probes in (1, 16))
    error = float(one.std()) / np.sqrt(2000)
    assert error > 0
    assert one.mean() == pytest.approx(float(contractive_penalty(encode, x)), abs=4 * error)
    assert sixteen.std() == pytest.approx(float(one.std()) / 4, rel=0.2)


def test_penalties_can_be_trained_on(rng):
    def both(W, x):
        def encode(x):
            return jnp.tanh(x @ W)

        estimate = hutchinson_penalty(encode, x, key=jax.random.key(1), probes=3)
        return contractive_penalty(encode, x), estimate

    with jax.enable_x64(True):
        x, W = jnp.asarray(rng.normal(size=3)), rng.normal(size=(3, 2))
        check_grads(jax.jit(functools.partial(both, x=x)), (W,), order=2, modes=["fwd"])


def test_squares_of_short_floats_are_added_in_float32():
    key, ones = jax.random.key(0), jnp.ones(4, jnp.float16)
    assert contractive_penalty(lambda x: 300 * x, ones) == 4 * 300**2
    assert hutchinson_penalty(lambda x: 300 * x, ones, key=key) == 4 * 300**2


@pytest.mark.usefixtures("unchecked")
def test_what_has_no_derivative_is_refused():
    pixels, key = jnp.arange(4), jax.random.key(0)
    estimate = functools.partial(hutchinson_penalty, key=key)
    for penalty in (contractive_penalty, estimate):
        with pytest.raises(TypeError, match=r"^x has dtype int32, expected a floating dtype"):
            jax.jit(functools.partial(penalty, jnp.sin))(pixels)
        with pytest.raises(TypeError, match=r"^encode\(x\) has dtype int32, expected a floating"):
            penalty(lambda x: x.astype(jnp.int32), jnp.ones(4))


@pytest.mark.usefixtures("unchecked")
def test_a_code_of_several_arrays_is_refused():
    for penalty in (contractive_penalty, functools.partial(hutchinson_penalty, key=None)):
        with pytest.raises(
            TypeError, match=r"^encode\(x\) is a tuple, expected one array; of a mean"
        ):
            penalty(lambda x: (x, x), jnp.ones(4))
        with pytest.raises(TypeError, match=r"^x is a list, expected one array"):
            penalty(jnp.sin, [1.0])


def test_no_probes_are_refused():
    with pytest.raises(ValueError, match="probes is 0, expected a whole number of at least 1"):
        hutchinson_penalty(jnp.sin, jnp.ones(2), key=jax.random.key(0), probes=0)
