"""What a prediction means: which error belongs to it, how to read it, and how to draw from it."""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.losses._error import Link, identity


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """What a model's prediction is: the parameters of a distribution over the target.

    A model's output is unbounded numbers, the prediction; it goes into the error as it is. Its mean
    is what the link, the inverse link of a generalised linear model, turns it into: on the target's
    scale, of the target's shape, what reconstructions and pictures show. A sample is one target
    drawn from the distribution, noise and all; many samples average to the mean.

    Likelihoods are frozen, comparable and hashable. One of other hyperparameters is built from its
    error, `Likelihood(GaussianError(scale=0.1))`, and equals itself built again.

    Args:
        error: e(prediction, target), the negative log-likelihood, in nats.
        link: maps a prediction to the target's mean.
        parameters_per_element: how many numbers a model predicts for each number of the target.
            If it is 1 the prediction has the target's shape, else one more axis, the last.
        sampler: draws a target, `sampler(prediction, key=key)`; where None, the error's own method
            `draw`, if it has one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxae.losses import bernoulli
        >>> bernoulli.link(jnp.array([-jnp.inf, 0.0, jnp.inf])).tolist()
        [0.0, 0.5, 1.0]
        >>> bernoulli.sample(jnp.array([-jnp.inf, jnp.inf]), key=jax.random.key(0)).tolist()
        [0.0, 1.0]
    """

    error: Callable[[Array, Array], Array]
    link: Link = identity
    parameters_per_element: int = 1
    sampler: Callable[..., Array] | None = None

    def sample(self, prediction: Array, *, key: PRNGKeyArray) -> Array:
        """A target drawn from the distribution that the prediction stands for.

        Args:
            prediction: of any batch shape, with the parameters' axis last if there are several.
            key: a random key.

        Returns:
            Independent draws, one for each element, on the target's scale.

        Raises:
            TypeError: a prediction that is not floating.
            ValueError: a likelihood without a sampler, or a prediction of a wrong last axis.
        """
        self._check(prediction)
        sampler = self.sampler or getattr(self.error, "draw", None)
        if sampler is None:
            raise ValueError(f"{self} has no sampler; build it with Likelihood(…, sampler=…)")
        return sampler(prediction, key=key)

    def _check(self, prediction: Array) -> None:
        several, shape = self.parameters_per_element > 1, jnp.shape(prediction)
        if not jnp.issubdtype(jnp.result_type(prediction), jnp.floating):
            dtype = jnp.result_type(prediction)
            raise TypeError(f"the prediction has dtype {dtype}, expected a floating dtype")
        if several and shape[-1:] != (self.parameters_per_element,):
            raise ValueError(
                f"the prediction has shape {shape}, expected {self.parameters_per_element} on the "
                "last axis: the parameters of the distribution of one number"
            )

    def __reduce__(self) -> tuple:
        # A compiled link, such as `jax.nn.sigmoid`, is pickled by its name, as functions are.
        fields = (getattr(self, field.name) for field in dataclasses.fields(self))
        return _restored, (type(self), *map(_portable, fields))

    def __deepcopy__(self, memo: dict) -> "Likelihood":
        # It cannot change, and a copy of a compiled link would not equal the link.
        return self


class _Named(NamedTuple):
    """A function that is found in a module by its name."""

    module: str
    name: str

    def find(self) -> Any:
        found = importlib.import_module(self.module)
        return functools.reduce(lambda x, name: getattr(x, name, None), self.name.split("."), found)


def _portable(value: Any) -> Any:
    """The name of what a decorator wrapped, if it is found by it; else the value."""
    if not hasattr(value, "__wrapped__"):
        return value
    named = _Named(value.__module__, value.__qualname__)
    return named if named.find() is value else value


def _restored(kind: type[Likelihood], *fields: Any) -> Likelihood:
    return kind(*(field.find() if isinstance(field, _Named) else field for field in fields))
