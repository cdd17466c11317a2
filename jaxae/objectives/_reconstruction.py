"""The reconstruction term: a loss between what the model predicts and the target."""

import dataclasses
import reprlib

from jaxtyping import Array

from jaxae.losses import BaseLoss, identity, link_of
from jaxae.objectives._term import Coefficient, Read, Term, View, loss_term


def reconstruction(
    loss: BaseLoss,
    coefficient: Coefficient = 1.0,
    *,
    where: Read | None = None,
    weights: Read | None = None,
) -> Term:
    """A loss as a term: `loss.mean` of one sample's prediction and target.

    A loss that takes logits gets the model's logits. A loss on the data's own scale gets the
    reconstruction, the likelihood's link of the prediction; so `mse` means the squared error of
    what the pictures show, whatever the model's likelihood.

    Args:
        loss: any loss of `jaxae.losses`, also a function of batch means.
        coefficient: what the loss is multiplied by, a number or a schedule: a function of the count
            of updates, such as `optax.linear_schedule(0.0, 1.0, 1000)`.
        where: maps the View of one sample to a mask: bool, True where an element of the target
            counts, over a prefix of its axes.
        weights: maps the View of one sample to weights, non-negative, over such a prefix.

    Returns:
        A Term.

    Raises:
        TypeError: something else than a loss, a coefficient that is no number, a mask or weights
            that are no functions of a View.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxae.losses import bce, mse
        >>> def known(view):
        ...     return ~jnp.isnan(view.target)
        >>> reconstruction(mse, where=known) == reconstruction(mse, where=known)
        True
        >>> reconstruction(mse) == reconstruction(bce)
        False
    """
    if not isinstance(loss, BaseLoss):
        raise TypeError(f"got {loss!r}, expected a loss; of a plain error make one: Loss(error)")
    if not (isinstance(coefficient, int | float) or callable(coefficient)):
        raise TypeError(
            f"the coefficient is {coefficient!r}, expected a Python number, or a schedule: a "
            "function of the count of updates"
        )
    for name, read in (("where", where), ("weights", weights)):
        if read is not None and not callable(read):
            raise TypeError(f"{name} is {reprlib.repr(read)}, expected a function of the View")
    read = Reconstruction(loss)
    return loss_term(loss, read, coefficient=coefficient, where=where, weights=weights)


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """Reads a sample's prediction, on the scale that the loss takes, and its target.

    Raises:
        ValueError: the loss takes what another likelihood predicts than the model's.
    """

    loss: BaseLoss

    def __call__(self, view: View) -> tuple[Array, Array]:
        return self._prediction(view), view.target

    def _prediction(self, view: View) -> Array:
        prediction, likelihood = view.outputs.prediction, view.model.likelihood
        expected = link_of(self.loss.error)
        if self.loss.error == likelihood.error or expected is likelihood.link:
            return prediction
        if expected is not identity:
            raise ValueError(
                f"{self.loss} takes the predictions of another likelihood than the model's, which "
                f"is {likelihood}; build the model with likelihood=likelihood_for(loss), or choose "
                "a loss on the data's own scale"
            )
        return likelihood.link(prediction)
