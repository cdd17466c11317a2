import hashlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxae.losses import (
    Loss,
    MultiScaleStructuralDissimilarity,
    StructuralDissimilarity,
    ms_ssim,
    ssim,
    structural_similarity,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "skimage.json").read_text())["cases"]
SMALL = StructuralDissimilarity(window=3)
small = jax.jit(jax.value_and_grad(SMALL))


def windowed(x, taps):
    """Means of every window of (H, W) that lies inside, in float64."""
    views = np.lib.stride_tricks.sliding_window_view(np.asarray(x, np.float64), taps.shape)
    return np.sum(views * taps, axis=(-2, -1))


def terms(p, y, max_value=1.0, window=11, sigma=1.5):
    """Luminance and contrast-structure of (H, W) as Wang et al. 2004 write them, in float64."""
    p, y = np.asarray(p, np.float64), np.asarray(y, np.float64)
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    k = np.exp(-0.5 * (np.arange(-(window // 2), window // 2 + 1) / sigma) ** 2)
    taps = np.outer(k, k) / np.sum(k) ** 2
    mp, my = windowed(p, taps), windowed(y, taps)
    vp, vy, cov = (
        windowed(a * b, taps) - c for a, b, c in ((p, p, mp**2), (y, y, my**2), (p, y, mp * my))
    )
    return (2 * mp * my + c1) / (mp**2 + my**2 + c1), (2 * cov + c2) / (vp + vy + c2)


def multi_scale(p, y, weights, window):
    """MS-SSIM of (H, W) as Wang et al. 2003 write it, in float64."""
    product = 1.0
    for scale, weight in enumerate(weights):
        luminance, contrast = terms(p, y, window=window)
        last = scale == len(weights) - 1
        product *= max(np.mean(luminance * contrast if last else contrast), 0) ** weight
        p, y = (np.pad(x, [(0, n % 2) for n in x.shape], mode="symmetric") for x in (p, y))
        p, y = (x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3)) for x in (p, y))
    return product


def golden_images(case):
    """The images of tests/golden/make_skimage.py, drawn again."""
    rng, (shape, max_value) = (
        np.random.default_rng(case["seed"]),
        (case["shape"], case["max_value"]),
    )
    target = (max_value * rng.random(shape)).astype(np.float32)
    noise = case["noise_scale"] * max_value * rng.standard_normal(shape)
    return (target + noise).astype(np.float32), target


@pytest.mark.parametrize("name", GOLDEN)
def test_is_what_scikit_image_computes(name):
    case = GOLDEN[name]
    prediction, target = golden_images(case)
    drawn = hashlib.sha256(prediction.tobytes() + target.tobytes()).hexdigest()
    assert drawn == case["sha256"], "other images than those the library was asked about"
    error = StructuralDissimilarity(max_value=case["max_value"])
    got = jax.jit(error)(prediction, target)
    assert got == pytest.approx(1 - case["ssim"], rel=2e-5, abs=1e-9)
    index = structural_similarity(
        jnp.asarray(prediction), jnp.asarray(target), max_value=case["max_value"]
    )
    assert index == pytest.approx(case["ssim"], abs=1e-6)
    first = error.local(jnp.asarray(prediction), jnp.asarray(target))[0, 0].ravel()
    np.testing.assert_allclose(1 - first, case["first_place"], atol=2e-6)


def test_the_gradient_is_that_of_the_formula_in_float64(rng):
    p, y = rng.random((2, 9, 8)).astype(np.float32)
    value, gradient = small(p, y)
    with jax.enable_x64(True):
        exact, slopes = map(np.asarray, small(np.float64(p), np.float64(y)))
    luminance, contrast = terms(p, y, window=3)
    assert exact == pytest.approx(np.mean(1 - luminance * contrast), rel=1e-9)
    assert value == pytest.approx(float(exact), rel=1e-6)
    np.testing.assert_allclose(gradient, slopes, atol=1e-6 * abs(slopes).max())


def test_derivatives_agree_with_finite_differences_to_second_order(rng):
    with jax.enable_x64(True):
        p, y = rng.random((2, 4, 5))
        check_grads(jax.jit(SMALL), (p, y), order=2, modes=["fwd"])


@pytest.mark.parametrize("levels", [(1e4, 1e4), (1e4, 9999.0), (0.5, 0.25), (0.0, 1.0), (0.0, 0.0)])
def test_constant_images_differ_in_luminance_only(levels):
    """With E[x²] − E[x]² in float32 their variances would be noise of size 10."""
    p, y = (np.full((9, 8), level, np.float32) for level in levels)
    value, gradient = small(p, y)
    a, b = (np.float64(level) for level in levels)
    assert value == pytest.approx((a - b) ** 2 / (a**2 + b**2 + 1e-4), rel=1e-6, abs=1e-12)
    assert np.isfinite(gradient).all()


def test_flat_parts_beside_strong_edges_keep_their_variance_of_zero():
    y = np.repeat(np.float32([[255.0], [0.0]]), 8, axis=0) * np.ones((1, 8), np.float32)
    p = y * np.float32(0.9)
    errors = SMALL.local(jnp.asarray(p), jnp.asarray(y))
    luminance, contrast = terms(p, y, window=3)
    np.testing.assert_allclose(errors, 1 - luminance * contrast, rtol=1e-5, atol=1e-9)


def test_equal_images_are_at_distance_zero_with_zero_gradient(rng):
    p = rng.random((9, 8)).astype(np.float32)
    value, gradient = small(p, p)
    assert value == 0
    assert (gradient == 0).all()


@pytest.mark.parametrize("number", [1e4, -1e4, 1e30, -1e30, 1.0, 1e-40, 0.0])
def test_extremes_stay_finite(number, rng):
    images = rng.random((2, 9, 8)).astype(np.float32)
    images[0, 2:6, 3] = number
    for p, y in (images, images[::-1], (images[0], np.zeros((9, 8), np.float32))):
        value, gradient = small(p, y)
        assert 0 <= value <= 2
        assert np.isfinite(gradient).all()


def test_channels_are_averaged(rng):
    p, y = rng.random((2, 9, 8, 3)).astype(np.float32)
    each = [small(p[..., c], y[..., c])[0] for c in range(3)]
    assert jax.jit(SMALL)(p, y) == pytest.approx(float(np.mean(each)), rel=1e-6)
    assert SMALL.local(jnp.asarray(p), jnp.asarray(y)).shape == (7, 6, 3)


def test_the_batch_loss_is_the_mean_over_images(rng):
    P, Y = rng.random((2, 3, 12, 11)).astype(np.float32)
    each = [np.mean(1 - np.prod(terms(p, y), axis=0)) for p, y in zip(P, Y, strict=True)]
    np.testing.assert_allclose(ssim.per_sample(P, Y), each, rtol=1e-5)
    assert ssim(P, Y) == pytest.approx(np.mean(each), rel=1e-5)
    spoilt = np.where(np.arange(3)[:, None, None] == 1, np.nan, P)
    where = np.array([True, False, True])
    assert ssim(spoilt, Y, where=where) == pytest.approx((each[0] + each[2]) / 2, rel=1e-5)


WEIGHTS = (0.3, 0.2, 0.5)
THREE = MultiScaleStructuralDissimilarity(weights=WEIGHTS, window=3)
three = jax.jit(jax.value_and_grad(THREE))


def test_multi_scale_is_its_formula_on_odd_sides(rng):
    y = rng.random((13, 11)).astype(np.float32)
    p = np.float32(0.7) * y + np.float32(0.1) * rng.random((13, 11)).astype(np.float32)
    value, gradient = three(p, y)
    assert value == pytest.approx(1 - multi_scale(p, y, WEIGHTS, 3), rel=1e-5)
    with jax.enable_x64(True):
        slopes = np.asarray(jax.jit(jax.grad(THREE))(np.float64(p), np.float64(y)))
    np.testing.assert_allclose(gradient, slopes, atol=1e-6 * abs(slopes).max())


def test_multi_scale_with_its_defaults_takes_images_of_161_pixels(rng):
    y = rng.random((161, 161)).astype(np.float32)
    p = (y + 0.3 * rng.random((161, 161))).astype(np.float32)
    expected = 1 - multi_scale(p, y, MultiScaleStructuralDissimilarity().weights, 11)
    assert ms_ssim(p[None], y[None]) == pytest.approx(expected, rel=1e-5)


def test_multi_scale_of_opposite_images_is_one_with_zero_gradient(rng):
    y = rng.random((13, 11)).astype(np.float32)
    value, gradient = three(1 - y, y)
    assert value == 1
    assert (gradient == 0).all()


@pytest.mark.parametrize("number", [1e4, 1e30, -1e30, 1e-40, 0.0])
def test_multi_scale_stays_finite(number, rng):
    y = rng.random((13, 11)).astype(np.float32)
    p = np.where(np.arange(11) == 4, np.float32(number), y)
    for pair in ((p, y), (y, p), (0 * p, y), (p, p)):
        value, gradient = three(*pair)
        assert 0 <= value <= 2
        assert np.isfinite(gradient).all()
    assert three(p, p)[0] == 0


def test_multi_scale_of_one_scale_is_single_scale(rng):
    y = rng.random((9, 8)).astype(np.float32)
    p = np.float32(0.7) * y
    one = MultiScaleStructuralDissimilarity(weights=(1.0,), window=3)
    assert one(jnp.asarray(p), jnp.asarray(y)) == pytest.approx(float(small(p, y)[0]), rel=1e-6)


def test_multi_scale_derivatives_agree_with_finite_differences(rng):
    error = MultiScaleStructuralDissimilarity(weights=(0.4, 0.6), window=3)
    with jax.enable_x64(True):
        y = rng.random((6, 5))
        check_grads(jax.jit(error), (0.7 * y + 0.1 * rng.random((6, 5)), y), order=1, modes=["fwd"])


@pytest.mark.parametrize(
    ("error", "shape", "message"),
    [
        (StructuralDissimilarity(), (784,), r"\(784,\), expected an image"),
        (StructuralDissimilarity(), (2, 12, 12, 3), "expected an image"),
        (StructuralDissimilarity(), (8, 20), r"\(8, 20\), expected .* 11 or more; pass a smaller"),
        (MultiScaleStructuralDissimilarity(), (160, 200), "161 or more; pass fewer weights than"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused(error, shape, message):
    with pytest.raises(ValueError, match=message):
        Loss(error)(jnp.zeros((2, *shape)), jnp.zeros((2, *shape)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_value": 0.0}, "max_value is 0.0, expected a finite number above 0"),
        ({"max_value": float("inf")}, "max_value is inf"),
        ({"sigma": -1.0}, "sigma is -1.0"),
        ({"k2": 0.0}, "k2 is 0.0"),
        ({"window": 10}, "window is 10, expected an odd"),
        ({"window": -1}, "window is -1, expected a whole number"),
    ],
)
def test_bad_hyperparameters_are_refused(settings, message):
    for error in (StructuralDissimilarity, MultiScaleStructuralDissimilarity):
        with pytest.raises(ValueError, match=message):
            error(**settings)


@pytest.mark.parametrize("weights", [(), (0.5, 0.0), (0.5, -1.0), (0.5, float("inf"))])
def test_bad_weights_are_refused(weights):
    with pytest.raises(
        ValueError, match=r"weights is empty|a weight is .*, expected a finite numb"
    ):
        MultiScaleStructuralDissimilarity(weights=weights)


def test_a_list_of_weights_gives_an_equal_error_and_a_window_is_whole():
    error = MultiScaleStructuralDissimilarity(weights=(0.5, 0.5))
    object.__setattr__(error, "weights", [0.5, 0.5])  # the tests' type checker refuses it earlier
    error.__post_init__()
    assert error == MultiScaleStructuralDissimilarity(weights=(0.5, 0.5))
    assert hash(error) == hash(MultiScaleStructuralDissimilarity(weights=(0.5, 0.5)))
    object.__setattr__(error, "window", 11.0)
    with pytest.raises(ValueError, match=r"window is 11\.0, expected a whole number"):
        error.__post_init__()


def test_the_index_takes_what_losses_take(rng):
    p, y = (255 * rng.random((2, 12, 11))).astype(np.uint8)
    exact = np.mean(np.prod(terms(p, y, 255, 3), axis=0))
    settings = {"max_value": 255.0, "window": 3}
    got = structural_similarity(p.astype(np.float16), y, **settings)
    assert got.dtype == jnp.float32
    assert got == pytest.approx(exact, rel=1e-5)
    with pytest.raises(TypeError, match="prediction has dtype uint8"):
        structural_similarity(p, y, **settings)
    with pytest.raises(ValueError, match="nothing is broadcast"):
        structural_similarity(np.float32(p), y[:1], **settings)
    wide = structural_similarity(np.float32(p), y, **settings, k1=1.0, k2=1.0)
    assert wide == 1 - StructuralDissimilarity(255.0, 3, k1=1.0, k2=1.0)(
        jnp.float32(p), jnp.float32(y)
    )
