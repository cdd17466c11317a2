import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import Loss, SpectralError, multi_scale_spectral

TWO = SpectralError(windows=(16, 8))
two = jax.jit(jax.value_and_grad(TWO))


def magnitudes(x, window, hop):
    """Of frames that begin at every hop within the series, with zeros after its end, in float64."""
    padded = np.pad(np.asarray(x, np.float64), (0, window))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = [padded[start : start + window] * hann for start in range(0, len(x), hop)]
    return abs(np.fft.rfft(frames))


def exact(p, y, windows, overlap=0.75, log_weight=1.0, floor=1e-5):
    total = 0.0
    for window in windows:
        a, b = (magnitudes(x, window, round(window * (1 - overlap))) for x in (p, y))
        logarithms = np.log(np.maximum(a, floor)) - np.log(np.maximum(b, floor))
        total += np.mean(abs(a - b)) + log_weight * np.mean(abs(logarithms))
    return total


@pytest.mark.parametrize(
    ("error", "steps"),
    [
        (TWO, 40),
        (TWO, 17),
        (SpectralError(windows=(12, 6), overlap=0.5, log_weight=0.3, floor=0.1), 31),
        (SpectralError(windows=(8,), overlap=0.0), 29),
    ],
)
def test_is_its_formula(error, steps, rng):
    p, y = rng.normal(size=(2, steps)).astype(np.float32)
    settings = error.windows, error.overlap, error.log_weight, error.floor
    assert jax.jit(error)(p, y) == pytest.approx(exact(p, y, *settings), rel=1e-5)


def test_defaults_take_series_of_2048_steps(rng):
    P, Y = rng.normal(size=(2, 2, 2100)).astype(np.float32)
    windows = SpectralError().windows
    each = [exact(p, y, windows) for p, y in zip(P, Y, strict=True)]
    assert multi_scale_spectral(P, Y) == pytest.approx(np.mean(each), rel=1e-5)


def test_channels_are_averaged(rng):
    p, y = rng.normal(size=(2, 40, 3)).astype(np.float32)
    each = [exact(p[:, c], y[:, c], TWO.windows) for c in range(3)]
    assert jax.jit(TWO)(p, y) == pytest.approx(np.mean(each), rel=1e-5)


def test_every_number_but_the_first_touches_the_error(rng):
    p, y = rng.normal(size=(2, 37)).astype(np.float32)
    _, gradient = two(p, y)
    assert gradient[0] == 0
    assert (gradient[1:] != 0).all()


def test_phase_costs_nothing(rng):
    y = rng.normal(size=40).astype(np.float32)
    value, gradient = two(-y, y)
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("kind", ["zeros", "equal"])
def test_equal_series_are_at_distance_zero_with_zero_gradient(kind, rng):
    p = np.zeros(40, np.float32) if kind == "zeros" else rng.normal(size=40).astype(np.float32)
    value, gradient = two(p, p)
    assert value == 0
    assert (gradient == 0).all()


def test_silence_has_a_finite_gradient(rng):
    """√ has an infinite derivative at a magnitude of 0, and log at any below its floor."""
    y = rng.normal(size=40).astype(np.float32)
    value, gradient = two(0 * y, y)
    assert value == pytest.approx(exact(0 * y, y, TWO.windows), rel=1e-5)
    assert np.isfinite(gradient).all()
    second = jax.jit(lambda p, y: jax.jvp(jax.grad(TWO), (p, y), (y, y))[1])
    assert np.isfinite(second(0 * y, y)).all()


@pytest.mark.parametrize("number", np.float32([1e4, -1e4, 1e30, -1e30, 1.0, 1e-40]))
def test_extremes_stay_finite(number, rng):
    y = rng.normal(size=40).astype(np.float32)
    for p in (np.where(np.arange(40) == 7, number, y), np.full_like(y, number)):
        value, gradient = two(p, y)
        # Where a constant's magnitudes are 0, float32 leaves rounding noise for the logarithm.
        assert value == pytest.approx(exact(p, y, TWO.windows), rel=1e-5 if p[0] == y[0] else 0.1)
        assert np.isfinite(gradient).all()


def test_derivatives_agree_with_finite_differences_to_second_order(rng):
    error = SpectralError(windows=(8, 4))
    with jax.enable_x64(True):
        p, y = rng.normal(size=(2, 11))
        check_grads(jax.jit(error), (p, y), order=2, modes=["fwd"], rtol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"windows": ()}, "windows is empty"),
        ({"windows": (8, 0)}, "a window is 0, expected a whole number"),
        ({"windows": (10,)}, "windows of 10 overlap by 0.75, expected a whole number of hops"),
        ({"overlap": 1.5}, "overlap is 1.5, expected a number from 0 to 1"),
        ({"overlap": 1.0}, "overlap by 1.0, expected a whole number of hops"),
        ({"overlap": 0.7}, "expected a whole number of hops"),
        ({"floor": 0.0}, "floor is 0.0"),
        ({"log_weight": -1.0}, "log_weight is -1.0"),
    ],
)
def test_bad_hyperparameters_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SpectralError(**settings)


def test_a_list_of_windows_gives_an_equal_error():
    error = SpectralError()
    object.__setattr__(error, "windows", [16, 8])  # the tests' type checker refuses it earlier
    error.__post_init__()
    assert error == TWO
    assert hash(error) == hash(TWO)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1000,), "2048 steps or more; pass windows="), ((2048, 2, 2), "expected a series")],
)
def test_a_sample_that_does_not_fit_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        Loss(SpectralError())(jnp.zeros((2, *shape)), jnp.zeros((2, *shape)))
