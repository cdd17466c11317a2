"""What every loss is: a statistic of one sample, merged over samples, finished last."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxae.losses._arguments import Arguments
from jaxae.losses._coverage import Coverage
from jaxae.losses._documentation import documentation
from jaxae.losses._error import Masking, event_of, parameters_of
from jaxae.losses._hyperparameters import check_choice
from jaxae.losses._mean import Statistic

Documented = TypeVar("Documented", bound="BaseLoss")


@dataclasses.dataclass(frozen=True, repr=False)
class BaseLoss:
    """A function of a batch that is written for one sample: vmapped, merged, finished last.

    A subclass has an `error` and defines `mean`, the statistic of ONE sample; where the loss is a
    function of the merged value, such as a batch mean, it defines `finish` as well. Losses are
    frozen, comparable and hashable: an equal loss built again is not compiled again.

    Args:
        error: a pure function of arrays, marked with what it takes where it is not elementwise.
    """

    error: Callable[..., Array]
    name: str = dataclasses.field(default="", init=False, compare=False)

    def __post_init__(self):
        if not callable(self.error) or isinstance(self.error, BaseLoss | type):
            raise TypeError(
                f"the error is {self.error!r}, expected a function of arrays, such as "
                "squared_error or HuberError(0.5)"
            )
        check_choice("masking", event_of(self.error).masking, get_args(Masking))

    def mean(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Statistic:
        """The statistic of ONE sample, not divided yet.

        Args:
            *arrays: what the error takes, e.g. one sample's prediction and target.
            where: bool, True where an element counts, over a prefix of the elements' axes.
            weights: non-negative, how often an element counts, over a prefix of those axes.

        Returns:
            A Mean, whose total is Σ w·m·e and whose weight is what it will be divided by; or
            another Statistic.

        Raises:
            TypeError: an integer prediction, or a `where` that is not boolean.
            ValueError: shapes that differ, or that are not a prefix.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no mean")

    def finish(self, value: Any) -> Float[Array, ""]:
        """The loss, from the value of the merged statistic: the value itself unless defined."""
        return value

    def per_sample(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Float[Array, " N"]:
        """Each sample's own loss, shape (N,): the loss of a batch of that sample alone.

        Takes the same arguments and raises the same errors as calling the loss.
        """
        return self._over_batch(_each_finished, arrays, where, weights)

    def merged(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Statistic:
        """The batch's statistic before the division; those of parts of the data add.

        Takes the same arguments and raises the same errors as calling the loss.

        Example:
            >>> import jax.numpy as jnp
            >>> from jaxae.losses import mse
            >>> A, Y = jnp.arange(10.0).reshape(5, 2), jnp.zeros((5, 2))
            >>> float((mse.merged(A[:4], Y[:4]) + mse.merged(A[4:], Y[4:])).value), float(mse(A, Y))
            (28.5, 28.5)
        """
        return self._over_batch(_merged, arrays, where, weights)

    def whole(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Statistic:
        """The statistic of a batch that is all there is: `merged`, unless a loss does not add.

        Takes the same arguments and raises the same errors as calling the loss.
        """
        return self.merged(*arrays, where=where, weights=weights)

    def __call__(
        self, *arrays: ArrayLike, where: ArrayLike | None = None, weights: ArrayLike | None = None
    ) -> Float[Array, ""]:
        """The loss of a batch, a scalar.

        Args:
            *arrays: what the error takes, predictions first, targets second, each of shape
                (N, ...). The first is floating point; float16 and bfloat16 become float32 first.
                Integers and booleans in the others are converted.
            where: bool, True where an element counts, over a prefix of the targets' axes: (N,) for
                samples, (N, T) for steps. What is masked cannot touch the result, not even by NaN.
            weights: non-negative, over a prefix of the targets' axes.

        Returns:
            A scalar, float32, or float64 if any array is; where everything is masked, 0 with zero
            gradient.

        Raises:
            TypeError: integer predictions, or a `where` that is not boolean.
            ValueError: shapes that differ, that are not a prefix, or that have no sample axis.
        """
        return self._over_batch(_finished, arrays, where, weights)

    def documented(self: Documented, name: str, meaning: str) -> Documented:
        """This loss with a name and a docstring of its own, which `help` shows.

        The docstring is `meaning` with the signature and the arguments, which follow from the
        error. Neither is part of what makes two losses equal.
        """
        doc = documentation(name, self.error, meaning)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "__doc__", doc)
        return self

    def checked(
        self, arrays: Sequence[ArrayLike], where: ArrayLike | None, weights: ArrayLike | None
    ) -> Arguments:
        """What the loss of a batch is called with, as arrays; raises what calling it raises."""
        arguments = Arguments.of(arrays, where, weights)
        arguments.check(parameters_of(self.error), event_of(self.error), batch_axes=1)
        return arguments

    def converted(
        self,
        arrays: tuple[ArrayLike, ...],
        where: ArrayLike | None,
        weights: ArrayLike | None,
    ) -> tuple[tuple[Array, ...], Coverage]:
        """One sample's arrays, checked and converted, and what covers them."""
        arguments = Arguments.of(arrays, where, weights)
        event = event_of(self.error)
        arguments.check(parameters_of(self.error), event)
        converted = arguments.convert(event)
        weights = arguments.weights
        weights = None if weights is None else weights.astype(converted[0].dtype)
        return converted, Coverage(arguments.where, weights)

    def errors(self, *arrays: Array) -> Array:
        """The errors between one sample's arrays, converted.

        Raises:
            ValueError: an error that returns another shape than its event says.
        """
        errors = self.error(*arrays)
        expected = event_of(self.error).elements(arrays)
        if errors.shape != expected or not jnp.issubdtype(errors.dtype, jnp.floating):
            raise ValueError(
                f"the error of {self} returned {errors.dtype} of shape {errors.shape}, expected "
                f"{arrays[0].dtype} of shape {expected}: one number for each element"
            )
        return errors

    def _over_batch(
        self,
        function: Callable[["BaseLoss", Arguments], Any],
        arrays: tuple[ArrayLike, ...],
        where: ArrayLike | None,
        weights: ArrayLike | None,
    ) -> Any:
        return _compiled(self, function, self.checked(arrays, where, weights))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compiled(
    loss: BaseLoss, function: Callable[[BaseLoss, Arguments], Any], arguments: Arguments
) -> Any:
    return function(loss, arguments)


def _of_samples(function: Callable[[Arguments], Any], arguments: Arguments) -> Any:
    """What a function of one sample gives of each."""
    if len(arguments.arrays[0]) == 1:
        # XLA on CPU sums the only row of a vmapped batch in sequence: slow, and off by 1e-4 at 10⁸.
        return jax.tree.map(lambda x: x[None], function(jax.tree.map(lambda x: x[0], arguments)))
    return jax.vmap(function)(arguments)


def _of_sample(loss: BaseLoss, one: Arguments) -> Statistic:
    return loss.mean(*one.arrays, where=one.where, weights=one.weights)


def _each_finished(loss: BaseLoss, arguments: Arguments) -> Array:
    return _of_samples(lambda one: loss.finish(_of_sample(loss, one).value), arguments)


def _merged(loss: BaseLoss, arguments: Arguments) -> Statistic:
    return _of_samples(functools.partial(_of_sample, loss), arguments).merge()


def _finished(loss: BaseLoss, arguments: Arguments) -> Array:
    return loss.finish(_merged(loss, arguments).value)
