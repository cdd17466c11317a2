import copy
import functools
import inspect
import itertools
import pickle
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    GaussianError,
    Loss,
    bce,
    binary_cross_entropy,
    categorical_cross_entropy_from_classes,
    closed_form,
    derivative_of,
    event_of,
    link_of,
    mse,
    squared_error,
)
from jaxae.losses.conventions import (
    CONVENTIONS,
    HINTON_2006,
    KERAS_2_2,
    KERAS_2_3,
    KERAS_3,
    KERAS_3_SUM,
    KERAS_3_WEIGHTED,
    OPTAX,
    OPTAX_L2,
    PYTHAE_VAE,
    TORCH_BATCHMEAN,
    TORCH_MEAN,
    TORCH_NONE,
    TORCH_SUM,
    Convention,
    LastAxisMean,
    LastAxisSum,
    Scaled,
    constant,
    mean_of_means,
    table,
)

REDUCED = [convention for convention in CONVENTIONS.values() if convention.unit != "none"]
# Of several that build the same loss one is enough.
DIFFERENT = list({convention(squared_error): convention for convention in REDUCED}.values())
every_reduced = pytest.mark.parametrize("convention", DIFFERENT, ids=lambda c: c.name)


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


def batch(rng, shape=(4, 3, 5)):
    return tuple(rng.normal(size=(2, *shape)).astype(np.float32))


# ℓ of shape (N, T, C), m and w of shape (N, T): the formulas of each library, with numel = N·T·C.
FORMULAS = {
    "KERAS_2_3": lambda e, m, w: np.sum(m * w * e) / e.size,
    "KERAS_3": lambda e, m, w: np.sum(m * w * e) / np.sum(m * np.ones_like(e)),
    "KERAS_3_WEIGHTED": lambda e, m, w: np.sum(m * w * e) / np.sum(m * w * np.ones_like(e)),
    "KERAS_3_SUM": lambda e, m, w: np.sum(m * w * e) / e.shape[-1],
    "TORCH_MEAN": lambda e, m, w: np.sum(m * w * e) / e.size,
    "TORCH_SUM": lambda e, m, w: np.sum(m * w * e),
    "TORCH_BATCHMEAN": lambda e, m, w: np.sum(m * w * e) / len(e),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_the_librarys_formula(name, rng):
    A, Y = batch(rng)
    m, w = rng.random((4, 3)) > 0.4, rng.integers(0, 3, (4, 3)).astype(np.float32)
    e, m_, w_ = (A - Y).astype(np.float64) ** 2, m[..., None], w[..., None]
    loss, formula = CONVENTIONS[name](squared_error), FORMULAS[name]
    assert loss(A, Y) == pytest.approx(formula(e, 1, 1), rel=1e-6)
    assert loss(A, Y, where=m) == pytest.approx(formula(e, m_, 1), rel=1e-6)
    assert loss(A, Y, weights=w) == pytest.approx(formula(e, 1, w_), rel=1e-6)
    assert loss(A, Y, where=m, weights=w) == pytest.approx(formula(e, m_, w_), rel=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "PYTHAE_AE",
        "SAELENS",
        "DICTIONARY_LEARNING",
        "DIFFUSERS_AUTOENCODER_KL",
        "SCVI",
        "HINTON_2006",
        "KERAS_VAE",
        "FLAX_LINEN_VAE",
    ],
)
def test_errors_summed_per_sample_and_averaged_over_samples(name, rng):
    A, Y = batch(rng)
    expected = np.sum((A - Y) ** 2, (1, 2)).mean()
    assert CONVENTIONS[name](squared_error)(A, Y) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["PYOD_VAE", "FLAX_NNX_VAE"])
def test_errors_averaged_over_everything(name, rng):
    A, Y = batch(rng)
    expected = np.mean((A - Y) ** 2)
    assert CONVENTIONS[name](squared_error)(A, Y) == pytest.approx(expected, rel=1e-6)


def test_pythaes_vae_has_a_half(rng):
    A, Y = batch(rng)
    expected = 0.5 * np.sum((A - Y) ** 2, (1, 2)).mean()
    assert PYTHAE_VAE(squared_error)(A, Y) == pytest.approx(expected, rel=1e-6)


def test_libraries_that_do_not_reduce_have_the_error(rng):
    A, Y = map(jnp.asarray, batch(rng))
    assert OPTAX(squared_error) is TORCH_NONE(squared_error) is squared_error
    np.testing.assert_array_equal(OPTAX_L2(squared_error)(A, Y), 0.5 * squared_error(A, Y))


def test_every_system_has_a_row_with_formula_and_source():
    text = table()
    systems = {name.partition("_")[0] for name in CONVENTIONS}
    assert systems >= {"OPTAX", "KERAS", "TORCH", "PYTHAE", "SAELENS", "DICTIONARY", "DIFFUSERS"}
    assert systems >= {"SCVI", "PYOD", "HINTON", "FLAX"}
    for name, convention in CONVENTIONS.items():
        assert convention.name == name
        row = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        assert convention.meaning in row
        assert convention.source in row
    *_, last = text.splitlines()
    assert last.startswith("SeveralOutputs")
    assert "Σ loss_weight·loss" in last
    assert len(text.splitlines()) == len(CONVENTIONS) + 2
    assert len(table([KERAS_3]).splitlines()) == 2


@every_reduced
def test_parts_add_up_to_the_whole(convention, rng):
    A, Y = batch(rng, (5, 3))
    loss = convention(squared_error)
    parts = [loss.merged(A[i:j], Y[i:j]) for i, j in itertools.pairwise([0, 2, 4, 5])]
    whole = functools.reduce(lambda a, b: a + b, parts).value
    assert whole == pytest.approx(float(loss(A, Y)), rel=1e-6)
    assert loss.per_sample(A, Y).shape == (5,)


@every_reduced
def test_gradient_is_the_closed_form_times_the_multiplier(convention, rng):
    A, Y = batch(rng)
    where = rng.random((4, 3)) > 0.4
    loss = convention(squared_error)
    gradient = jax.grad(loss)(A, Y, where=where)
    multiplier = float(convention.multiplier(A.shape, where))
    np.testing.assert_allclose(gradient, multiplier * 2 * (A - Y) * where[..., None], rtol=1e-5)


def test_an_equal_loss_built_again_compiles_once(rng):
    A, Y = batch(rng, (2, 3))
    traced = []

    @functools.partial(jax.jit, static_argnums=0)
    def value(loss, A, Y):
        traced.append(loss)
        return loss(A, Y)

    for convention in (KERAS_2_2, KERAS_3, KERAS_3_SUM, PYTHAE_VAE):
        assert value(convention(squared_error), A, Y) == value(convention(squared_error), A, Y)
        assert traced.pop() == convention(squared_error)
        assert not traced


@every_reduced
def test_everything_masked_is_zero_with_zero_gradient(convention, rng):
    A, Y = batch(rng, (4, 3))
    where = np.zeros(4, bool)
    value, gradient = jax.value_and_grad(convention(squared_error))(A * np.nan, Y, where=where)
    assert value == 0
    assert (gradient == 0).all()


def test_what_is_no_error_or_no_convention_is_named():
    """The name of one, mostly; the tests' type checker refuses it earlier."""
    for convention in (OPTAX, OPTAX_L2, TORCH_SUM):
        with pytest.raises(TypeError, match="the error is 'mse', expected a function of arrays"):
            inspect.unwrap(type(convention).__call__)(convention, "mse")
    with pytest.raises(TypeError, match="a is 'KERAS_3', expected a Convention"):
        inspect.unwrap(constant)("KERAS_3", KERAS_3, (2, 3))
    with pytest.raises(TypeError, match="a row is 'KERAS_3', expected a Convention"):
        inspect.unwrap(table)(["KERAS_3"])


def test_a_mistake_is_named():
    with pytest.raises(ValueError, match=r"factor is 0\.0, expected a finite number above 0"):
        Convention("mine", "", "", factor=0.0)
    broken = Convention("mine", "", "")
    object.__setattr__(broken, "count", "batch")  # the tests' type checker refuses it earlier
    with pytest.raises(ValueError, match="count is 'batch', expected one of"):
        broken.__post_init__()


class TestConstant:
    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            (TORCH_MEAN, TORCH_SUM, 4 * 3 * 5),
            (TORCH_MEAN, HINTON_2006, 3 * 5),
            (HINTON_2006, PYTHAE_VAE, Fraction(1, 2)),
            (PYTHAE_VAE, KERAS_3, Fraction(2, 3 * 5)),
            (TORCH_SUM, KERAS_3_SUM, Fraction(1, 5)),
            (TORCH_SUM, TORCH_BATCHMEAN, Fraction(1, 4)),
        ],
    )
    def test_is_exact(self, a, b, expected):
        got = constant(a, b, (4, 3, 5))
        assert isinstance(got, Fraction)
        assert got == expected

    @pytest.mark.parametrize("covered", ["", "where", "weights", "where and weights"])
    def test_is_the_ratio_of_the_values(self, covered, rng):
        A, Y = batch(rng)
        given = {
            "where": rng.random((4, 3)) > 0.4,
            "weights": rng.integers(0, 3, 4).astype(np.float32),
        }
        given = {name: x for name, x in given.items() if name in covered}
        with jax.enable_x64(True):
            A, Y = jnp.asarray(A, jnp.float64), jnp.asarray(Y, jnp.float64)
            values = {c.name: float(c(squared_error)(A, Y, **given)) for c in DIFFERENT}
        for a, b in itertools.pairwise(DIFFERENT):
            ratio = values[b.name] / values[a.name]
            assert float(constant(a, b, A.shape, **given)) == pytest.approx(ratio, rel=1e-12)

    def test_masks_and_weights_are_counted_exactly(self):
        where = np.array([True, True, False])
        assert constant(KERAS_2_3, KERAS_3, (3, 2), where) == Fraction(3, 2)
        weights = np.array([0.5, 0.25, 4.0])
        assert constant(KERAS_3_WEIGHTED, TORCH_SUM, (3, 2), where, weights) == Fraction(3, 2)

    def test_of_a_library_that_does_not_reduce_there_is_none(self):
        with pytest.raises(ValueError, match=r"OPTAX does not reduce: .* e\.g\. TORCH_MEAN"):
            constant(OPTAX, TORCH_MEAN, (4, 3))

    @pytest.mark.parametrize(
        "shape", [(-2, 3), (0, 784), (2.5, 3), (), 5, 5.0, "ab", (2, None), np.zeros((2, 2))]
    )
    def test_a_shape_without_meaning_is_named(self, shape):
        # The tests' type checker refuses most of them earlier.
        with pytest.raises((TypeError, ValueError), match=r"^shape is [\s\S]*, expected"):
            inspect.unwrap(Convention.multiplier)(KERAS_3, shape)

    def test_a_shape_may_be_an_array_or_a_list(self):
        for shape in ([2, 3], np.array([2, 3])):
            assert inspect.unwrap(Convention.multiplier)(KERAS_3, shape) == Fraction(1, 6)

    def test_where_nothing_counts_there_is_none(self):
        with pytest.raises(ValueError, match="nothing counts in KERAS_3"):
            constant(KERAS_2_3, KERAS_3, (3, 2), np.zeros(3, bool))

    def test_errors_that_are_not_elementwise_have_no_last_axis_in_the_sum_of_keras(self, rng):
        error, shape = categorical_cross_entropy_from_classes, (6, 4)
        logits = rng.normal(size=(*shape, 3)).astype(np.float32)
        classes = rng.integers(0, 3, shape)
        values = [c(error)(logits, classes) for c in (TORCH_SUM, KERAS_3_SUM)]
        assert values[0] == values[1]
        assert constant(TORCH_SUM, KERAS_3_SUM, shape, error=error) == 1
        assert constant(TORCH_SUM, KERAS_3_SUM, shape, error=squared_error) == Fraction(1, 4)
        assert constant(TORCH_SUM, KERAS_3_SUM, shape) == Fraction(1, 4)
        assert "not elementwise" in KERAS_3_SUM.meaning

    @pytest.mark.parametrize(
        "given",
        [
            {"where": np.ones((3, 2), np.float32)},
            {"where": np.ones(2, bool)},
            {"weights": np.ones(2, np.float32)},
            {"weights": np.ones((3, 2), np.complex64)},
            {"weights": np.float32(1)},
        ],
    )
    def test_a_mask_or_weights_that_a_loss_refuses_are_refused_in_its_words(self, given):
        zeros = np.zeros((3, 2), np.float32)
        with pytest.raises((TypeError, ValueError)) as losss:
            mse(zeros, zeros, **given)
        with pytest.raises(losss.type) as raised:
            constant(KERAS_2_3, KERAS_3, (3, 2), **given)
        assert str(raised.value) == str(losss.value)
        assert str(raised.value).startswith(next(iter(given)))

    def test_for_whole_data_sets_it_is_quick_and_exact(self):
        where = np.arange(784)[None].repeat(60_000, 0) >= 392
        expected = Fraction(1, 30_000 * 784)
        assert constant(TORCH_SUM, KERAS_3, where.shape, where) == expected


class TestScaled:
    def test_says_what_the_error_says(self):
        half = Scaled(binary_cross_entropy, 0.5)
        assert link_of(half) is jax.nn.sigmoid
        assert event_of(half) == event_of(binary_cross_entropy)
        assert "0.5·binary_cross_entropy" in repr(Loss(half))

    def test_names_the_arrays_of_the_error(self):
        with pytest.raises(TypeError, match="logits has dtype int"):
            Loss(Scaled(binary_cross_entropy, 0.5))(np.ones((2, 2), int), np.ones((2, 2)))

    def test_derivative_is_the_errors_times_the_factor(self):
        @closed_form(lambda prediction, target: 2 * (prediction - target))
        def error(prediction, target):
            return (prediction - target) ** 2

        prediction, target = jnp.array([3.0, 1.0]), jnp.ones(2)
        assert derivative_of(Scaled(error, 0.5))(prediction, target).tolist() == [2, 0]
        assert derivative_of(LastAxisMean(error))(prediction, target).tolist() == [2, 0]

    @pytest.mark.usefixtures("unchecked")
    def test_a_constant_is_a_factor(self):
        """`constant` is a Fraction, which means nothing to JAX."""
        error = Scaled(squared_error, constant(KERAS_3, HINTON_2006, (4, 3)))
        assert float(error(jnp.float32(3), jnp.float32(1))) == 12
        assert error == Scaled(squared_error, 3.0)
        convention = Convention("mine", "¼Σℓ", "", unit="total", factor=Fraction(1, 4))
        assert convention(squared_error) == Loss(Scaled(squared_error, 0.25), unit="total")

    @pytest.mark.usefixtures("unchecked")
    def test_only_an_elementwise_error_is_reduced_over_the_last_axis(self):
        for reduced in (LastAxisMean, LastAxisSum):
            for error in (categorical_cross_entropy_from_classes, LastAxisMean(squared_error)):
                with pytest.raises(ValueError, match="is not elementwise, expected an element"):
                    reduced(error)

    def test_of_an_error_without_a_closed_form_there_is_none(self):
        for error in (Scaled(abs, 0.5), LastAxisMean(abs)):
            assert not hasattr(error, "derivative")
            with pytest.raises(ValueError, match=r"no closed form is known of .*abs"):
                derivative_of(error)

    def test_equal_ones_are_equal_and_so_are_copies(self):
        half = Scaled(GaussianError(2.0), 0.5)
        assert half == Scaled(GaussianError(2.0), 0.5) != Scaled(GaussianError(2.0), 0.25)
        assert hash(half) == hash(Scaled(GaussianError(2.0), 0.5))
        for copied in (copy.deepcopy(half), pickle.loads(pickle.dumps(half))):
            assert copied == half
            assert Loss(copied)(np.ones((1, 1)), np.ones((1, 1))).shape == ()

    def test_a_factor_that_is_not_positive_is_refused(self):
        with pytest.raises(ValueError, match=r"factor is -1\.0, expected a finite number above"):
            Scaled(squared_error, -1.0)


def test_the_sum_of_keras_divides_by_the_last_axis_of_elementwise_errors_only(rng):
    A, Y = batch(rng, (4, 5))
    assert KERAS_3_SUM(squared_error)(A, Y) == pytest.approx(
        np.sum(np.mean((A - Y) ** 2, -1)), rel=1e-6
    )
    per_sample = LastAxisMean(squared_error)
    assert KERAS_3_SUM(per_sample) == Loss(per_sample, unit="total")


def test_conventions_without_a_quirk_are_the_ready_made_losses():
    assert KERAS_3_WEIGHTED(squared_error) == mse
    assert KERAS_3_WEIGHTED(binary_cross_entropy) == bce
    assert KERAS_2_2(squared_error) != Loss(squared_error, count="nonzero")


def test_a_mean_of_means_depends_on_the_cut_and_the_sum_of_statistics_does_not(rng):
    A, Y = batch(rng, (5, 2))
    cuts = [[0, 4, 5], [0, 2, 4, 5]]
    epochs = [[mse.merged(A[i:j], Y[i:j]) for i, j in itertools.pairwise(cut)] for cut in cuts]
    for cut, parts in zip(cuts, epochs, strict=True):
        means = [np.mean((A[i:j] - Y[i:j]) ** 2) for i, j in itertools.pairwise(cut)]
        assert mean_of_means(parts) == pytest.approx(np.mean(means), rel=1e-6)
        whole = functools.reduce(lambda a, b: a + b, parts).value
        assert whole == pytest.approx(float(mse(A, Y)), rel=1e-6)
    with pytest.raises(ValueError, match="got no batches"):
        mean_of_means([])
    assert mean_of_means(epochs[0]) != pytest.approx(float(mean_of_means(epochs[1])), rel=1e-3)
