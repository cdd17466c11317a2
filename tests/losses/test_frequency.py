import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import FocalFrequencyError, Loss, focal_frequency, mse


def exact(p, y, alpha=1.0):
    """Value and gradient of Jiang et al. 2021, of (H, W) in float64, the weights held fixed."""
    spectrum = np.fft.fft2(np.asarray(p, np.float64) - y, norm="ortho")
    weights = (abs(spectrum) / abs(spectrum).max()) ** alpha
    gradient = 2 * np.fft.ifft2(weights * spectrum, norm="ortho").real / spectrum.size
    return np.mean(weights * abs(spectrum) ** 2), gradient


@pytest.mark.parametrize(
    ("shape", "alpha"), [((6, 8), 0.0), ((5, 7), 0.5), ((6, 7), 1.0), ((5, 8), 2.0)]
)
def test_value_and_gradient_are_their_formulas(shape, alpha, rng):
    p, y = rng.normal(size=(2, *shape)).astype(np.float32)
    value, gradient = jax.jit(jax.value_and_grad(FocalFrequencyError(alpha)))(p, y)
    expected, slopes = exact(p, y, alpha)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-6)


def test_alpha_zero_is_the_mean_squared_error(rng):
    P, Y = rng.normal(size=(2, 3, 6, 5)).astype(np.float32)
    loss = Loss(FocalFrequencyError(alpha=0.0))
    assert loss(P, Y) == pytest.approx(float(mse(P, Y)), rel=1e-5)
    with jax.enable_x64(True):
        p, y = rng.normal(size=(2, 3, 4))
        check_grads(jax.jit(FocalFrequencyError(0.0)), (p, y), order=2, modes=["fwd"])


def test_each_channel_has_a_maximum_of_its_own_and_channels_are_averaged(rng):
    P, Y = rng.normal(size=(2, 2, 6, 5, 3)).astype(np.float32)
    P[..., 1] *= 100
    each = [[exact(p[..., c], y[..., c])[0] for c in range(3)] for p, y in zip(P, Y, strict=True)]
    assert focal_frequency(P, Y) == pytest.approx(np.mean(each), rel=1e-5)


def test_second_derivatives_hold_the_weights_fixed(rng):
    p, y = jnp.asarray(rng.normal(size=(2, 3, 4)).astype(np.float32))
    along = rng.normal(size=(3, 4)).astype(np.float32)
    slope = jax.jit(lambda p: jax.jvp(jax.grad(FocalFrequencyError()), (p, y), (along, 0 * y))[1])
    got = slope(p)
    spectrum = np.fft.fft2(p - y, norm="ortho")
    weights = abs(spectrum) / abs(spectrum).max()
    filtered = np.fft.ifft2(weights * np.fft.fft2(along, norm="ortho"), norm="ortho").real
    np.testing.assert_allclose(got, 2 * filtered / 12, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_equal_images_are_at_distance_zero_with_zero_gradient(alpha, rng):
    p, error = rng.normal(size=(3, 4)).astype(np.float32), FocalFrequencyError(alpha)
    everything = jax.jit(lambda p, y: (jax.value_and_grad(error)(p, y), jax.hessian(error)(p, y)))
    (value, gradient), hessian = everything(p, p)
    assert value == 0
    assert (gradient == 0).all()
    assert np.isfinite(hessian).all()


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_extremes_are_never_nan_and_gradients_are_finite(alpha, rng):
    y = rng.normal(size=(6, 5)).astype(np.float32)
    error = jax.jit(jax.value_and_grad(FocalFrequencyError(alpha)))
    for number in np.float32([1e4, -1e4, 1e30, -1e30, 1.0, 1e-40]):
        for p in (np.where(np.arange(5) == 2, number, y), np.full_like(y, number)):
            value, gradient = error(p, y)
            expected, slopes = exact(p, y, alpha)
            with np.errstate(over="ignore"):
                assert value == pytest.approx(np.float32(expected), rel=1e-4)
            np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-5 * abs(slopes).max())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"\(784,\), expected an image"):
        focal_frequency(jnp.zeros((2, 784)), jnp.zeros((2, 784)))
    for alpha in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"alpha is {alpha}, expected a finite number, 0 or"):
            FocalFrequencyError(alpha)
