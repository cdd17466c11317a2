"""Kernels: how alike two samples are, from the squared distance between them."""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._hyperparameters import as_tuple, check_from_to, store_python_numbers

Kernel = Callable[[Array], Array]


@dataclasses.dataclass(frozen=True)
class RBF:
    """The radial basis function, without unit: k(d²) = exp(−d²/(2b²)).

    It sees distances of about b. Far beyond, as between codes of many numbers, it and its gradient
    are zero.

    Args:
        bandwidth: b > 0, in the samples' unit.

    Raises:
        ValueError: a bandwidth that is not between 1e-18 and 1e18.

    Example:
        >>> RBF(1.0)(jnp.array([0.0, 2.0])).round(4).tolist()
        [1.0, 0.367...]

    References:
        Rasmussen & Williams, Gaussian processes for machine learning, MIT Press, 2006, eq. 4.9,
        https://gaussianprocess.org/gpml
    """

    bandwidth: float = 1.0

    def __post_init__(self):
        # Its square and the inverse of that, which the gradient has, are float32 numbers.
        check_from_to("bandwidth", self.bandwidth, 1e-18, 1e18)
        store_python_numbers(self)

    def __call__(self, squared_distance: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.exp(-squared_distance / self.bandwidth / self.bandwidth / 2)


@dataclasses.dataclass(frozen=True)
class InverseMultiquadric:
    """The inverse multiquadric: k(d²) = C/(C + d²), whose heavy tail sees far codes as well.

    Args:
        scale: C > 0, in the square of the samples' unit. The paper's is 2·dimensions·σ², the
            expected squared distance between two draws of the prior.

    Raises:
        ValueError: a scale that is not between 1e-30 and 1e30.

    Example:
        >>> InverseMultiquadric(2.0)(jnp.array([0.0, 2.0])).tolist()
        [1.0, 0.5]

    References:
        Tolstikhin et al., Wasserstein auto-encoders, ICLR 2018, section 4,
        https://arxiv.org/abs/1711.01558
    """

    scale: float = 1.0

    def __post_init__(self):
        check_from_to("scale", self.scale, 1e-30, 1e30)  # it and its inverse are in float32
        store_python_numbers(self)

    def __call__(self, squared_distance: Float[Array, "..."]) -> Float[Array, "..."]:
        return 1 / (1 + squared_distance / self.scale)


@dataclasses.dataclass(frozen=True)
class KernelSum:
    """The sum of kernels, e.g. of several scales where the right one is not known.

    Args:
        kernels: one or more.

    Raises:
        ValueError: no kernels.

    Example:
        >>> scales = KernelSum(tuple(InverseMultiquadric(c) for c in (0.2, 1.0, 5.0)))
        >>> float(scales(jnp.array(0.0)))
        3.0

    References:
        Li, Swersky & Zemel, Generative moment matching networks, ICML 2015 (a sum of kernels of
        several bandwidths), https://arxiv.org/abs/1502.02761
    """

    kernels: tuple[Kernel, ...]

    def __post_init__(self):
        object.__setattr__(self, "kernels", as_tuple("kernels", self.kernels))

    def __call__(self, squared_distance: Float[Array, "..."]) -> Float[Array, "..."]:
        return functools.reduce(jnp.add, (kernel(squared_distance) for kernel in self.kernels))
