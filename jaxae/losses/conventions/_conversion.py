"""Hyperparameters that train to the same parameters when the loss is multiplied by a constant."""

import dataclasses
from fractions import Fraction

from jaxae.losses._hyperparameters import check_not_negative, check_positive


@dataclasses.dataclass(frozen=True)
class SGD:
    """Hyperparameters of stochastic gradient descent, with or without momentum.

    With the loss k times as large, and so its gradient, the same parameters come after every step
    from learning rate / k, weight decay · k and clip norm · k. The momentum stays; a norm or a
    value at which gradients are clipped is multiplied by k.

    Args:
        learning_rate: η.
        weight_decay: λ of coupled weight decay: λθ is added to the gradient, after clipping.
        clip_norm: the global norm that gradients are clipped to; None if they are not.

    Raises:
        ValueError: a hyperparameter that is negative or infinite, or a clip norm of 0.

    Example:
        >>> from jaxae.losses.conventions import PYTHAE_VAE, TORCH_MEAN, constant
        >>> per_image = constant(TORCH_MEAN, PYTHAE_VAE, (100, 784))
        >>> SGD(learning_rate=0.392, clip_norm=0.25).convert(per_image)
        SGD(learning_rate=0.001, weight_decay=0.0, clip_norm=98.0)
    """

    learning_rate: float
    weight_decay: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self):
        _check(self)

    def convert(self, constant: float | int | Fraction) -> "SGD":
        """The hyperparameters for the loss that is `constant` times as large.

        Raises:
            ValueError: a constant that is not positive.
        """
        k = _positive(constant)
        return SGD(
            float(self.learning_rate / k), float(self.weight_decay * k), _times(self.clip_norm, k)
        )


@dataclasses.dataclass(frozen=True)
class Adam:
    """Hyperparameters of Adam and AdamW.

    Adam divides the gradient by its own size, so the learning rate stays. What is compared with the
    gradient is multiplied by k: ε, the clip norm and a coupled L2 penalty. Decoupled weight decay
    (AdamW) does not see the gradient, and stays.

    Args:
        learning_rate: η.
        epsilon: ε, added to the root of the second moment.
        weight_decay: λ of decoupled weight decay: ηλθ is subtracted from the parameters.
        l2: λ of a coupled penalty: λθ is added to the gradient, after clipping.
        clip_norm: the global norm that gradients are clipped to; None if they are not.

    Raises:
        ValueError: a hyperparameter that is negative or infinite, or a clip norm of 0.

    Example:
        >>> Adam(1e-3, epsilon=1e-8, weight_decay=0.01, l2=1e-4).convert(392)
        Adam(learning_rate=0.001, epsilon=3.92e-06, weight_decay=0.01, l2=0.0392, clip_norm=None)

    References:
        Kingma & Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1,
        https://arxiv.org/abs/1412.6980
        Loshchilov & Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2,
        https://arxiv.org/abs/1711.05101
    """

    learning_rate: float
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self):
        _check(self)

    def convert(self, constant: float | int | Fraction) -> "Adam":
        """The hyperparameters for the loss that is `constant` times as large.

        Raises:
            ValueError: a constant that is not positive.
        """
        k = _positive(constant)
        return dataclasses.replace(
            self,
            epsilon=float(self.epsilon * k),
            l2=float(self.l2 * k),
            clip_norm=_times(self.clip_norm, k),
        )


def _check(hyperparameters: SGD | Adam) -> None:
    for field in dataclasses.fields(hyperparameters):
        value = getattr(hyperparameters, field.name)
        if field.name != "clip_norm":
            check_not_negative(field.name, value)
        elif value is not None:
            check_positive(field.name, value)


def _positive(constant: float | int | Fraction) -> float:
    check_positive("constant", constant)
    return float(constant)


def _times(clip_norm: float | None, k: float) -> float | None:
    return None if clip_norm is None else clip_norm * k
