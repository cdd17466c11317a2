"""Functions of all pairs of samples, which do not add: they need every row at once."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._base import BaseLoss
from jaxae.losses._error import SAMPLE, event_of, name_of, takes
from jaxae.losses._kernels import InverseMultiquadric, Kernel
from jaxae.losses._mean import Rows


def mean_of_pairs(pairs: Float[Array, "N N"], weight: Float[Array, " N"]) -> Float[Array, ""]:
    """The mean over all pairs of rows, each with itself as well: Σ_ij w_i w_j e_ij / (Σ w)².

    Args:
        pairs: e_ij, one number for each pair.
        weight: w, how often each row counts.

    Returns:
        A scalar in the unit of the pairs; 0 where nothing counts.

    Example:
        >>> float(mean_of_pairs(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1.0, 3.0])))
        3.25
    """
    share = shares(weight)
    # Not a matrix product, whose precision an accelerator may lower.
    return jnp.sum(share * jnp.sum(pairs * share[None, :], axis=1))


def shares(weight: Float[Array, " N"]) -> Float[Array, " N"]:
    """Each row's part of the whole, w/Σw; zeros where nothing counts."""
    whole = weight.sum()
    return weight / jnp.where(whole != 0, whole, 1)


@dataclasses.dataclass(frozen=True, repr=False)
class PairwiseLoss(BaseLoss):
    """A function of all pairs of samples: finisher(error(rows), how often each row counts).

    Such a function is not a mean over samples: its value on a batch is not the mean of its values
    on parts. So the statistic of a sample is the sample itself, and the merge stacks them: the loss
    is still the same however the data are cut, at the price of memory and time that grow with the
    square of the number of samples. It has no `per_sample`.

    Masks and weights are of samples, shape (N,): weight 0 is absent, weight 2 is a row twice.

    Args:
        error: maps all rows, arrays of shape (N, ...), to one number, or several, for every pair of
            them, shape (N, N, ...). Marked with `@takes(Event(None, None))`.
        finisher: maps the pairs' errors and how often each row counts, shape (N,), to a scalar; 0
            where nothing counts.

    Raises:
        ValueError: an error without that mark.

    Example:
        >>> from jaxae.losses import Event, takes
        >>> @takes(Event(None, None))
        ... def products(code):
        ...     return code[:, None] * code[None, :]
        >>> float(PairwiseLoss(products)(jnp.array([1.0, 3.0])))
        4.0
    """

    finisher: Callable[[Array, Array], Array] = dataclasses.field(
        default_factory=lambda: mean_of_pairs
    )

    def __post_init__(self):
        super().__post_init__()
        event = event_of(self.error)
        if event.prediction is not None or event.target is not None:
            raise ValueError(
                f"{name_of(self.error)} is marked as an error of single elements, expected one of "
                "all rows; mark it with @takes(Event(None, None))"
            )

    def __repr__(self) -> str:
        return f"PairwiseLoss({name_of(self.error)}, {name_of(self.finisher)})"

    def mean(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Rows:
        """ONE sample as it is, and how often it counts; zeros where it does not.

        Takes the same arguments and raises the same errors as `Loss.mean`; `where` and `weights`
        are scalars.
        """
        converted, coverage = self.converted(arrays, where, weights)
        weight = coverage.counts("weight")
        dtype = converted[0].dtype
        return Rows(
            coverage.cover(converted),
            jnp.ones((), dtype) if weight is None else weight.astype(dtype),
        )

    def finish(self, value: Any) -> Float[Array, ""]:
        """The loss, from all rows and how often each counts."""
        rows, weight = jax.tree.map(_gathered, value)
        return self.finisher(self.error(*rows), weight.astype(rows[0].dtype))

    def per_sample(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Float[Array, " N"]:
        """No such thing.

        Raises:
            TypeError: always; a function of pairs has no value for a single sample.
        """
        raise TypeError(f"{self} is a function of pairs of samples; a sample alone has no loss")


def _gathered(rows: Array) -> Array:
    """All rows on every device, which pairs of them need; XLA does it where axes are automatic."""
    sharding = jax.typeof(rows).sharding
    rows_by, *others_by = sharding.spec
    if rows_by is None:
        return rows
    return jax.sharding.reshard(rows, sharding.update(spec=PartitionSpec(None, *others_by)))


def squared_distances(x: Float[Array, "N ..."], y: Float[Array, "M ..."]) -> Float[Array, "N M"]:
    """The squared distances between the rows of two arrays, from the differences themselves.

    Not from products of rows, ‖x‖² − 2x·y + ‖y‖², whose digits cancel where rows are close. One
    feature of all pairs after the other, so that memory does not grow with their number; the sums
    of √C features at a time are added, which keeps the digits of long rows.

    Example:
        >>> squared_distances(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[25.0, 0.0]]
    """
    total = jnp.zeros_like(x, shape=(len(x), len(y)))
    return jax.lax.scan(_add_block, total, (_blocks(x), _blocks(y)))[0]


def _blocks(rows: Float[Array, "N ..."]) -> Float[Array, "B F N"]:
    """The features of all rows in √C blocks of √C, the last filled with zeros."""
    features = math.prod(rows.shape[1:])
    size = max(1, math.isqrt(max(0, features - 1)) + 1)
    columns = rows.reshape(len(rows), features).T
    filled = jnp.pad(columns, ((0, -features % size), (0, 0)))
    return filled.reshape(len(filled) // size, size, len(rows))


def _add_block(total: Array, block: tuple[Array, Array]) -> tuple[Array, None]:
    of_block, _ = jax.lax.scan(_add_feature, jnp.zeros_like(total), block)
    return total + of_block, None


def _add_feature(total: Array, feature: tuple[Array, Array]) -> tuple[Array, None]:
    return total + _squared_differences(*feature), None


@jax.checkpoint  # what the derivative needs is computed again, not kept for every feature
def _squared_differences(x: Float[Array, " N"], y: Float[Array, " M"]) -> Float[Array, "N M"]:
    return (x[:, None] - y[None]) ** 2


@takes(SAMPLE)
@dataclasses.dataclass(frozen=True)
class MaximumMeanDiscrepancy:
    """How much two sets of rows differ, for each pair of places, as a kernel sees it.

    e_ij = k(z_i, z_j) + k(p_i, p_j) − k(z_i, p_j) − k(z_j, p_i)

    Its mean over all pairs is the squared maximum mean discrepancy between the rows z and p, the
    V-statistic, which includes each row's likeness to itself and is never negative. It has no unit.

    Args:
        kernel: k, a function of squared distances.

    Example:
        >>> rows = jnp.array([[0.0], [1.0]])
        >>> MaximumMeanDiscrepancy()(rows, rows + 1).tolist()
        [[1.0, -0.199...], [-0.200..., 1.0]]

    References:
        Gretton et al., A kernel two-sample test, Journal of Machine Learning Research 13, 2012,
        equation 5, https://jmlr.org/papers/v13/gretton12a.html
    """

    kernel: Kernel = dataclasses.field(default_factory=InverseMultiquadric)

    def __call__(
        self, latent: Float[Array, "N ..."], prior: Float[Array, "N ..."]
    ) -> Float[Array, "N N"]:
        def alike(x: Array, y: Array) -> Array:
            return self.kernel(squared_distances(x, y))

        across = alike(latent, prior)
        return alike(latent, latent) + alike(prior, prior) - across - across.T


mmd = PairwiseLoss(MaximumMeanDiscrepancy()).documented(
    "mmd",
    """Squared maximum mean discrepancy between codes and draws of the prior; needs all rows.

    Σ_ij w_i w_j (k(z_i, z_j) + k(p_i, p_j) − k(z_i, p_j) − k(z_j, p_i)) / (Σ w)²

    with k = 1/(1 + d²), without unit. It is the V-statistic: never negative, and 0 for equal rows.
    The paper's estimator leaves out each row's likeness to itself. For another kernel write
    `PairwiseLoss(MaximumMeanDiscrepancy(RBF(2.0)))`; the paper's is
    `InverseMultiquadric(2 * dimensions)`.

    Example:
        >>> import jax.numpy as jnp
        >>> codes, draws = jnp.array([[0.0], [1.0]]), jnp.array([[1.0], [2.0]])
        >>> round(float(mmd(codes, draws)), 4)
        0.4

    References:
        Tolstikhin et al., Wasserstein auto-encoders, ICLR 2018, algorithm 2,
        https://arxiv.org/abs/1711.01558
    """,
)

__test__ = {mmd.name: mmd.__doc__}
