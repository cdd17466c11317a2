"""Terms of one sample, and the objective that is made of them."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jax.typing import ArrayLike
from jaxtyping import Array, PRNGKeyArray

from jaxae.losses import BaseLoss, Statistic, identity


class View(NamedTuple):
    """What a term sees: ONE sample, and the model itself.

    Args:
        model: the model, whose methods a term may call.
        input: what the model was given, an array or a tree of them.
        target: what the prediction is compared with, an array or a tree of them.
        outputs: the model's Outputs for the input.
        key: the sample's own random key.
    """

    model: Any
    input: Any
    target: Any
    outputs: Any
    key: PRNGKeyArray


Read = Callable[[View], Array]
Schedule = Callable[[Any], Any]
Coefficient = int | float | Schedule


@dataclasses.dataclass(frozen=True)
class Term:
    """One part of an objective: coefficient · finish(the merged statistic's value).

    Args:
        sample: maps the View of one sample to a Mean that is not divided yet, a Total, or Rows.
        finish: maps the value of the merged statistic to a scalar; applied after the merge, so
            functions of batch means are exact however the data are cut.
        coefficient: what the finished term is multiplied by: a number, or a schedule, a function of
            the count of updates such as `optax.linear_schedule(0.0, 1.0, 1000)`.
    """

    sample: Callable[[View], Statistic]
    finish: Callable[[Any], Array] = identity
    coefficient: Coefficient = 1.0

    def coefficient_at(self, step: ArrayLike) -> ArrayLike:
        """The coefficient after so many updates."""
        return self.coefficient(step) if callable(self.coefficient) else self.coefficient


def loss_term(
    loss: BaseLoss,
    read: Callable[[View], tuple[Array, ...]],
    *,
    coefficient: Coefficient = 1.0,
    where: Read | None = None,
    weights: Read | None = None,
) -> Term:
    """Any loss as a term: `loss.mean` of what is read from the View of one sample.

    Args:
        loss: any loss of `jaxae.losses`, also a function of batch means or of pairs of samples.
        read: maps a View to the arrays that the loss takes.
        coefficient: what the loss is multiplied by, a number or a schedule.
        where: maps a View to the term's own mask: bool, True where an element counts, over a prefix
            of the sample's axes; `()` is the sample as a whole.
        weights: maps a View to the term's own weights, non-negative, over such a prefix.

    Returns:
        A Term. It is equal to another one if all functions are: write them as functions of a
        module, or as frozen dataclasses, and not as lambdas.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import mse
        >>> def code_and_zero(view):
        ...     return view.outputs.latent, jnp.zeros_like(view.outputs.latent)
        >>> loss_term(mse, code_and_zero) == loss_term(mse, code_and_zero)
        True
    """
    return Term(LossOf(loss, read, where, weights), Finish(loss), coefficient)


@dataclasses.dataclass(frozen=True)
class LossOf:
    """The sample function of a loss's term."""

    loss: BaseLoss
    read: Callable[[View], tuple[Array, ...]]
    where: Read | None = None
    weights: Read | None = None

    def __call__(self, view: View) -> Statistic:
        where = None if self.where is None else self.where(view)
        weights = None if self.weights is None else self.weights(view)
        return self.loss.mean(*self.read(view), where=where, weights=weights)


@dataclasses.dataclass(frozen=True)
class Finish:
    """A loss's `finish` as a function that is equal for equal losses; a bound method is not."""

    loss: BaseLoss

    def __call__(self, value: Any) -> Array:
        return self.loss.finish(value)


@dataclasses.dataclass(frozen=True, init=False)
class Objective(Mapping[str, Term]):
    """Named terms, whose sum is minimised; frozen, comparable and hashable.

    Args:
        terms: a mapping from names to Terms.

    Raises:
        TypeError: something else than a Term.
        ValueError: no terms.

    Example:
        >>> from jaxae.losses import mse
        >>> from jaxae.objectives import reconstruction
        >>> objective = Objective({"reconstruction": reconstruction(mse)})
        >>> objective == Objective({"reconstruction": reconstruction(mse)})
        True
    """

    terms: tuple[tuple[str, Term], ...]

    def __init__(self, terms: Mapping[str, Term]):
        if not terms:
            raise ValueError("an objective has no terms, expected one or more named Terms")
        for name, term in terms.items():
            if not isinstance(term, Term):
                raise TypeError(
                    f"term {name!r} is {term!r}, expected a Term, e.g. reconstruction(mse)"
                )
        object.__setattr__(self, "terms", tuple(terms.items()))

    def __getitem__(self, name: str) -> Term:
        return dict(self.terms)[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.terms)

    def __len__(self) -> int:
        return len(self.terms)
