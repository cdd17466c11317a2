"""The same losses as users of other libraries call them: optax, Keras on JAX, torch."""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import optax

from jaxae import losses
from jaxae.losses import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    ClippedBinaryCrossEntropy,
    FocalError,
    GaussianError,
    Loss,
    heteroscedastic_gaussian_error,
)

LIBRARIES = ("optax", "keras", "torch")


class Formula(NamedTuple):
    """A loss of jaxae's, and the same formula elsewhere, as a mean over all numbers.

    Args:
        ours: the loss.
        inputs: what it is measured on, the name of a kind in `_draw.py`.
        theirs: by library, a function of the library's own arrays.
    """

    ours: Callable
    inputs: str
    theirs: Mapping[str, Callable]


def formulas() -> dict[str, Formula]:
    """Every elementwise loss that one of the libraries that are installed has too."""
    table = {
        "mse": Formula(losses.mse, "numbers", {}),
        "mae": Formula(losses.mae, "numbers", {}),
        "huber": Formula(losses.huber, "numbers", {}),
        "log_cosh": Formula(losses.log_cosh, "numbers", {}),
        "msle": Formula(losses.msle, "positive", {}),
        "mape": Formula(losses.mape, "positive", {}),
        "bce": Formula(losses.bce, "logits", {}),
        "bce, positive weight": Formula(Loss(BinaryCrossEntropy(pos_weight=2.5)), "logits", {}),
        "bce, smoothed": Formula(Loss(BinaryCrossEntropy(label_smoothing=0.1)), "logits", {}),
        "bce_from_probabilities": Formula(losses.bce_from_probabilities, "probabilities", {}),
        "bce, clipped": Formula(Loss(ClippedBinaryCrossEntropy()), "probabilities", {}),
        "focal": Formula(losses.focal, "labels", {}),
        "focal, balanced": Formula(Loss(FocalError(gamma=2.0, alpha=0.25)), "labels", {}),
        "cce": Formula(losses.cce, "distributions", {}),
        "cce, also of impossible classes": Formula(losses.cce, "distributions", {}),
        "cce, smoothed": Formula(
            Loss(CategoricalCrossEntropy(label_smoothing=0.1)), "distributions", {}
        ),
        "cce_from_classes": Formula(losses.cce_from_classes, "classes", {}),
        "cce_from_probabilities": Formula(losses.cce_from_probabilities, "shares", {}),
        "cce_from_probabilities_and_classes": Formula(
            losses.cce_from_probabilities_and_classes, "shares and classes", {}
        ),
        "categorical_focal": Formula(losses.categorical_focal, "distributions", {}),
        "kl_divergence": Formula(losses.kl_divergence, "log shares", {}),
        "kl_divergence_from_probabilities": Formula(
            losses.kl_divergence_from_probabilities, "shares", {}
        ),
        "generalised_kl_divergence": Formula(losses.generalised_kl_divergence, "log shares", {}),
        "gaussian_nll": Formula(Loss(GaussianError()), "numbers", {}),
        "learned_gaussian_nll": Formula(Loss(heteroscedastic_gaussian_error), "parameters", {}),
    }
    for library, load in (("optax", _optax), ("keras", _keras), ("torch", _torch)):
        if installed(library):
            for name, function in load().items():
                theirs = {**table[name].theirs, library: function}
                table[name] = table[name]._replace(theirs=theirs)
    return table


def installed(library: str) -> bool:
    """Whether a library can be imported."""
    return importlib.util.find_spec(library) is not None


def contender(
    library: str, function: Callable, arrays: Sequence[jax.Array], gradient: bool
) -> tuple[Any, tuple]:
    """A library's function compiled as its users do, with its value or gradient, and its arrays.

    All libraries read the same memory: where arrays lie decides some percent.
    """
    if library == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        prediction, target = (torch.from_dlpack(x) for x in arrays)
        target = target.long() if target.dtype == torch.int32 else target
        if not gradient:
            return function, (prediction, target)
        return _torch_gradient(function), (prediction.requires_grad_(), target)
    function = jax.value_and_grad(function) if gradient else function
    return jax.jit(function), tuple(arrays)


def _torch_gradient(function: Callable) -> Callable:
    import torch  # pyright: ignore[reportMissingImports]

    def value_and_gradient(prediction, target):
        value = function(prediction, target)
        return value.detach(), torch.autograd.grad(value, prediction)[0]

    return value_and_gradient


def _optax() -> dict[str, Callable]:
    def mean(function: Callable, **arguments: Any) -> Callable:
        return lambda P, Y: function(P, Y, **arguments).mean()

    return {
        "mse": mean(optax.squared_error),
        "huber": mean(optax.huber_loss),
        "log_cosh": mean(optax.log_cosh),
        "bce": mean(optax.sigmoid_binary_cross_entropy),
        "focal": mean(optax.sigmoid_focal_loss),
        "focal, balanced": mean(optax.sigmoid_focal_loss, alpha=0.25),
        "cce": mean(optax.softmax_cross_entropy),
        "cce, also of impossible classes": mean(optax.safe_softmax_cross_entropy),
        "cce, smoothed": lambda P, Y: optax.softmax_cross_entropy(
            P, optax.smooth_labels(Y, 0.1)
        ).mean(),
        "cce_from_classes": mean(optax.softmax_cross_entropy_with_integer_labels),
        "kl_divergence": mean(optax.kl_divergence),
        "generalised_kl_divergence": mean(optax.losses.generalized_kl_divergence),
    }


def _keras() -> dict[str, Callable]:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from keras import losses as k

    def swapped(loss: Callable) -> Callable:
        return lambda P, Y: loss(Y, P)

    return {
        "mse": swapped(k.MeanSquaredError()),
        "mae": swapped(k.MeanAbsoluteError()),
        "huber": swapped(k.Huber()),
        "log_cosh": swapped(k.LogCosh()),
        "msle": swapped(k.MeanSquaredLogarithmicError()),
        "mape": swapped(k.MeanAbsolutePercentageError()),
        "bce": swapped(k.BinaryCrossentropy(from_logits=True)),
        "bce, smoothed": swapped(k.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)),
        "bce, clipped": swapped(k.BinaryCrossentropy()),
        "focal": swapped(k.BinaryFocalCrossentropy(from_logits=True)),
        "focal, balanced": swapped(
            k.BinaryFocalCrossentropy(from_logits=True, apply_class_balancing=True)
        ),
        "cce": swapped(k.CategoricalCrossentropy(from_logits=True)),
        "cce, smoothed": swapped(k.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)),
        "cce_from_classes": swapped(k.SparseCategoricalCrossentropy(from_logits=True)),
        "cce_from_probabilities": swapped(k.CategoricalCrossentropy()),
        "cce_from_probabilities_and_classes": swapped(k.SparseCategoricalCrossentropy()),
        "categorical_focal": swapped(k.CategoricalFocalCrossentropy(alpha=1.0, from_logits=True)),
        "kl_divergence_from_probabilities": swapped(k.KLDivergence()),
    }


def _torch() -> dict[str, Callable]:
    import torch  # pyright: ignore[reportMissingImports]
    from torch.nn import functional  # pyright: ignore[reportMissingImports]

    return {
        "mse": functional.mse_loss,
        "mae": functional.l1_loss,
        "huber": functional.huber_loss,
        "bce": functional.binary_cross_entropy_with_logits,
        "bce, positive weight": lambda P, Y: functional.binary_cross_entropy_with_logits(
            P, Y, pos_weight=torch.tensor(2.5)
        ),
        "bce_from_probabilities": functional.binary_cross_entropy,
        "cce": functional.cross_entropy,
        "cce, smoothed": lambda P, Y: functional.cross_entropy(P, Y, label_smoothing=0.1),
        "cce_from_classes": functional.cross_entropy,
        "kl_divergence": lambda P, Y: functional.kl_div(P, Y, reduction="batchmean"),
        "gaussian_nll": lambda P, Y: functional.gaussian_nll_loss(
            P, Y, torch.ones(()).expand_as(Y), full=True
        ),
        "learned_gaussian_nll": lambda P, Y: functional.gaussian_nll_loss(
            P[..., 0], Y, P[..., 1].exp(), full=True
        ),
    }
