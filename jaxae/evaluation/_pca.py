"""Principal components: the best that a linear code of the same size can do."""

import numpy as np
from jax.typing import ArrayLike
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, eigsh

# Above this many samples and features, neither their covariance nor all directions are computed.
LARGEST_COVARIANCE = 3000


def pca_mse(train: ArrayLike, test: ArrayLike, components: int) -> float:
    """Mean squared error of PCA's reconstructions: SSE / (M·C).

    The components are the leading eigenvectors of the training samples' covariance, about the
    training mean; an optimal linear autoencoder of this code size reaches the same error.

    Args:
        train: samples to fit, shape (N, ...).
        test: samples to reconstruct, shape (M, ...).
        components: the code size; all components if it is above the number of features.

    Returns:
        The error over all numbers of the test samples, in float64.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(100, 3)) * [3.0, 1.0, 0.0]
        >>> error = pca_mse(X, X, 1)
        >>> bool(np.isclose(error, X[:, 1].var() / 3, rtol=0.1)), round(pca_mse(X, X, 2), 12)
        (True, 0.0)

    References:
        Bourlard & Kamp, Auto-association by multilayer perceptrons and singular value
        decomposition, Biological Cybernetics 59, 1988, https://doi.org/10.1007/BF00332918
    """
    fitted, tested = _rows(train), _rows(test)
    mean = fitted.mean(0)
    basis = _leading_directions(fitted - mean, min(components, fitted.shape[1]))
    centred = tested - mean
    residual = centred - centred @ basis @ basis.T
    return float(np.mean(residual**2))


def _rows(samples: ArrayLike) -> np.ndarray:
    rows = np.asarray(samples, np.float64)
    return rows.reshape(len(rows), -1)


def _leading_directions(centred: np.ndarray, components: int) -> np.ndarray:
    samples, features = centred.shape
    if features <= LARGEST_COVARIANCE:
        return eigh(centred.T @ centred, subset_by_index=(features - components, features - 1))[1]
    if samples <= LARGEST_COVARIANCE or components >= features - 1:
        return np.linalg.svd(centred, full_matrices=False)[2][:components].T
    if not centred.any():
        return np.zeros((features, 0))
    return eigsh(_Covariance(centred), components, v0=np.ones(features))[1]


class _Covariance(LinearOperator):
    """The covariance matrix as a product of two, never formed."""

    def __init__(self, centred: np.ndarray):
        super().__init__(centred.dtype, (centred.shape[1],) * 2)
        self.centred = centred

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self.centred.T @ (self.centred @ x)
