import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from jaxae.data._scaling import scale

shapes = hnp.array_shapes(max_dims=3, max_side=4)
integers = st.sampled_from(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]).flatmap(
    lambda dtype: hnp.arrays(
        dtype, shapes, elements=st.integers(0, int(np.iinfo(dtype).max)), fill=st.nothing()
    )
)
whole = st.sampled_from(["f2", "f4", "f8"]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        shapes,
        elements=st.floats(0, float(np.finfo(dtype).max), width=8 * np.dtype(dtype).itemsize).map(
            np.floor
        ),
    )
)
fractions = st.sampled_from(["f2", "f4", "f8", "?"]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        shapes,
        elements=st.booleans()
        if dtype == "?"
        else st.floats(0, 1, width=8 * np.dtype(dtype).itemsize),
    )
)


@settings(deadline=None)
@given(samples=integers | whole | fractions)
def test_values_lie_in_zero_to_one_and_keep_their_proportions(samples):
    scaled, scaling = scale("samples", samples)
    assert scaled.dtype == np.float32
    assert scaled.shape == samples.shape
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    high = float(samples.max())
    full_scale = 1 if high <= 1 else float(scaling.split(",")[0].removeprefix("divided by "))
    expected = samples.astype(np.longdouble) / full_scale
    np.testing.assert_allclose(scaled, expected, rtol=2e-7, atol=1e-45)


@settings(deadline=None)
@given(samples=fractions)
def test_values_in_zero_to_one_are_left_as_they_are(samples):
    scaled, scaling = scale("samples", samples)
    assert scaling == "left as they are, in [0, 1]"
    np.testing.assert_array_equal(scaled, samples.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.float16])
@pytest.mark.parametrize(
    ("high", "scaling"),
    [
        (0, "left as they are, in [0, 1]"),
        (1, "left as they are, in [0, 1]"),
        (2, "divided by 2, the largest value"),
        (16, "divided by 16, the largest value"),
        (127, "divided by 127, the largest value"),
        (128, "divided by 255, the full scale of 8-bit integers"),
        (255, "divided by 255, the full scale of 8-bit integers"),
        (256, "divided by 256, the largest value"),
        (32_768, "divided by 65535, the full scale of 16-bit integers"),
    ],
)
def test_the_full_scale_is_that_of_the_bits_or_the_largest_value(dtype, high, scaling):
    assert scale("samples", np.array([0, high], dtype))[1] == scaling


@pytest.mark.parametrize(
    ("high", "scaling"),
    [
        (65_535, "divided by 65535, the full scale of 16-bit integers"),
        (65_536, "divided by 65536, the largest value"),
        (2**63 - 1, "divided by 9223372036854775807, the largest value"),
    ],
)
def test_large_integers_have_a_full_scale_too(high, scaling):
    scaled, said = scale("samples", np.array([0, high]))
    assert said == scaling
    assert scaled.tolist() == [0, 1]


@pytest.mark.parametrize("high", [0, 1, 9, 255])
def test_a_full_scale_of_the_file_format_is_used_whatever_the_values(high):
    scaled, scaling = scale("samples", np.array([0, high], np.uint8), 255)
    assert scaling == "divided by 255, the full scale of the file format"
    np.testing.assert_array_equal(scaled, np.float32([0, high]) / np.float32(255))


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([0.5, np.nan], ValueError, "NaN or infinity"),
        ([0.5, np.inf], ValueError, "NaN or infinity"),
        ([0.5, -np.inf], ValueError, "NaN or infinity"),
        ([0.5, -0.25], ValueError, "values from -0.25 to 0.5, .*scale them first"),
        ([7, -1], ValueError, "values from -1 to 7, .*scale them first"),
        ([0.5, 1.5], ValueError, "fractions from 0.5 to 1.5"),
        ([0.0, 254.5], ValueError, "fractions from 0.0 to 254.5"),
        ([0.5, 1.0000000000000002], ValueError, "fractions from 0.5 to 1.0000000000000002"),
        ([1j], TypeError, "dtype complex128, expected real numbers"),
        (["a"], TypeError, "dtype <U1, expected real numbers"),
        ([b"a"], TypeError, "expected real numbers"),
        ([None], TypeError, "dtype object, expected real numbers"),
        (np.zeros(2, "f4,f4"), TypeError, "expected real numbers"),
        (np.zeros(2, "M8[s]"), TypeError, "expected real numbers"),
    ],
)
def test_values_that_cannot_be_scaled_are_refused(values, error, message):
    with pytest.raises(error, match=f"mine: .*{message}"):
        scale("mine", np.array(values))
