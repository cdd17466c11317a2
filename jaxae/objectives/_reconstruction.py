"""The reconstruction term: a loss between what the model predicts and the target."""

import dataclasses
from typing import Any

from jaxtyping import Array

from jaxae.losses import BaseLoss, Statistic, identity, link_of
from jaxae.objectives._term import Term, View


def reconstruction(loss: BaseLoss, coefficient: float = 1.0) -> Term:
    """A loss as a term: `loss.mean` of one sample's prediction and target.

    A loss that takes logits gets the model's logits. A loss on the data's own scale gets the
    reconstruction, the likelihood's link of the prediction; so `mse` means the squared error of
    what the pictures show, whatever the model's likelihood.

    Args:
        loss: any loss of `jaxae.losses`, also a function of batch means.
        coefficient: what the loss is multiplied by.

    Returns:
        A Term.

    Example:
        >>> from jaxae.losses import bce, mse
        >>> reconstruction(mse) == reconstruction(mse), reconstruction(mse) == reconstruction(bce)
        (True, False)
    """
    return Term(Reconstruction(loss), finish=Finish(loss), coefficient=coefficient)


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """The sample function of the reconstruction term.

    Raises:
        ValueError: the loss takes logits and the model does not predict any.
    """

    loss: BaseLoss

    def __call__(self, view: View) -> Statistic:
        return self.loss.mean(self._read(view), view.target)

    def _read(self, view: View) -> Array:
        prediction, likelihood = view.outputs.prediction, view.model.likelihood
        expected = link_of(self.loss.error)
        if self.loss.error == likelihood.error or expected is likelihood.link:
            return prediction
        if expected is not identity:
            raise ValueError(
                f"{self.loss} takes logits, and the model's likelihood does not predict any; build "
                "the model with likelihood=bernoulli or choose a loss on the data's own scale"
            )
        return likelihood.link(prediction)


@dataclasses.dataclass(frozen=True)
class Finish:
    """A loss's `finish` as a function that is equal for equal losses; a bound method is not."""

    loss: BaseLoss

    def __call__(self, value: Any) -> Array:
        return self.loss.finish(value)
