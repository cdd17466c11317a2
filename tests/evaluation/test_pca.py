import numpy as np
import pytest

from jaxae.data import load
from jaxae.evaluation import _pca, pca_mse


def by_svd(train, test, components):
    """The textbook: project on the leading right singular vectors of the centred samples."""
    train, test = (x.reshape(len(x), -1).astype(np.float64) for x in (train, test))
    mean = train.mean(0)
    basis = np.linalg.svd(train - mean, full_matrices=False)[2][:components]
    return np.mean(((test - mean) - (test - mean) @ basis.T @ basis) ** 2)


@pytest.mark.parametrize("components", [1, 8, 63])
def test_it_is_the_textbooks(components):
    digits = load("digits")
    expected = by_svd(digits.train, digits.test, components)
    assert pca_mse(digits.train, digits.test, components) == pytest.approx(expected, rel=1e-6)


def test_many_features_give_the_same_without_a_covariance_matrix(monkeypatch):
    digits = load("digits")
    expected = pca_mse(digits.train, digits.test, 8)
    monkeypatch.setattr(_pca, "LARGEST_COVARIANCE", 10)
    assert pca_mse(digits.train, digits.test, 8) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("limit", [5, 30])
def test_wide_data_give_the_same_and_constant_data_no_fault(monkeypatch, rng, limit):
    X, Y = rng.normal(size=(2, 20, 50))
    monkeypatch.setattr(_pca, "LARGEST_COVARIANCE", limit)
    assert pca_mse(X, Y, 4) == pytest.approx(by_svd(X, Y, 4), rel=1e-8)
    constant = np.full((20, 50), 0.5)
    assert pca_mse(constant, constant, 4) == 0


@pytest.mark.parametrize("components", [3, 100])
def test_all_components_leave_no_error(components, rng):
    X = rng.normal(size=(20, 3))
    assert pca_mse(X, X, components) == pytest.approx(0, abs=1e-20)


def test_hinton_and_salakhutdinovs_thirty_components_on_mnist(mnist_dir):
    """13.87 per test image in the paper's figure 2; 13.866 on these files."""
    mnist = load("mnist", mnist_dir)
    assert 784 * pca_mse(mnist.train, mnist.test, 30) == pytest.approx(13.866, abs=5e-4)
