"""Terms of one sample, and the objective that is made of them."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.losses import Statistic, identity


class View(NamedTuple):
    """What a term sees: ONE sample, and the model itself.

    Args:
        model: the model, whose methods a term may call.
        input: what the model was given.
        target: what the prediction is compared with.
        outputs: the model's Outputs for the input.
        key: the sample's own random key.
    """

    model: Any
    input: Float[Array, "..."]
    target: Float[Array, "..."]
    outputs: Any
    key: PRNGKeyArray


@dataclasses.dataclass(frozen=True)
class Term:
    """One part of an objective: coefficient · finish(the merged statistic's value).

    Args:
        sample: maps the View of one sample to a Mean or Total that is not divided yet.
        finish: maps the value of the merged statistic to a scalar; applied after the merge, so
            functions of batch means are exact however the data are cut.
        coefficient: what the finished term is multiplied by.
    """

    sample: Callable[[View], Statistic]
    finish: Callable[[Array], Array] = identity
    coefficient: float = 1.0


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
