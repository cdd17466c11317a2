"""What a mask costs losses of numbers and classes: against a masked mean, and against no mask."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._draw import CLASSES, draw
from benchmarks._question import NO_SLOWER, Question, ask
from benchmarks._result import Comparison, Result, Target
from benchmarks._timing import Effort
from jaxae import losses
from jaxae.losses import BinaryCrossEntropy, Loss, event_of

SAMPLES, FEATURES, LEFT = 4096, 784, 0.7
AT_MOST = Target("<=", 1.7)


class Masked(NamedTuple):
    """A loss, as a mean over all numbers or events, and the kind of its arrays in `_draw.py`."""

    loss: Loss
    inputs: str


LOSSES = {
    "mse": Masked(losses.mse, "numbers"),
    "mae": Masked(losses.mae, "numbers"),
    "huber": Masked(losses.huber, "numbers"),
    "log_cosh": Masked(losses.log_cosh, "numbers"),
    "charbonnier": Masked(losses.charbonnier, "numbers"),
    "pinball": Masked(losses.pinball, "numbers"),
    "msle": Masked(losses.msle, "positive"),
    "mape": Masked(losses.mape, "positive"),
    "bce": Masked(losses.bce, "logits"),
    "bce, positive weight": Masked(Loss(BinaryCrossEntropy(pos_weight=2.5)), "logits"),
    "bce_from_probabilities": Masked(losses.bce_from_probabilities, "probabilities"),
    "bce_excess": Masked(losses.bce_excess, "logits"),
    "focal": Masked(losses.focal, "labels"),
    "cce": Masked(losses.cce, "distributions"),
    "cce_from_classes": Masked(losses.cce_from_classes, "classes"),
    "cce_from_probabilities": Masked(losses.cce_from_probabilities, "shares"),
    "categorical_focal": Masked(losses.categorical_focal, "distributions"),
    "kl_divergence": Masked(losses.kl_divergence, "log shares"),
    "gaussian": Masked(losses.gaussian_nll, "numbers"),
    "learned_gaussian": Masked(losses.learned_gaussian_nll, "parameters"),
    "laplace": Masked(losses.laplace_nll, "numbers"),
    "student_t": Masked(losses.student_t_nll, "numbers"),
    "poisson": Masked(losses.poisson_nll, "log rates"),
    "negative_binomial": Masked(losses.negative_binomial_nll, "count parameters"),
    "zero_inflated_negative_binomial": Masked(
        losses.zero_inflated_negative_binomial_nll, "inflated count parameters"
    ),
    "continuous_bernoulli": Masked(losses.continuous_bernoulli_nll, "logits"),
    "discretised_logistic": Masked(losses.discretised_logistic_nll, "parameters"),
}


def masked(effort: Effort) -> Result:
    """Time losses of numbers and classes under a mask, value alone and value with gradient."""
    all_turns, comparisons = [], []
    for name, (loss, inputs) in LOSSES.items():
        arrays = _arrays(loss.error, inputs)
        for question in _questions(name, Loss(loss.error)):
            turns = ask(question, question.label, arrays, effort)
            ratios = turns.ratios(*turns.names)
            comparisons.append(Comparison(question.label, ratios, "×", question.target))
            all_turns.append(turns)
    notes = [
        f"float32, {SAMPLES:,}×{FEATURES} (of classes, {CLASSES} in an event), jitted; a mask "
        f"leaves {LEFT:.0%}; the values compared were equal"
    ]
    return Result("masked", "s", all_turns, comparisons, notes)


def _questions(name: str, loss: Loss) -> tuple[Question, Question]:
    def covered(prediction, target, where):
        return loss(prediction, target, where=where)

    def uncovered(prediction, target, where):
        return loss(prediction, target)

    def plain(prediction, target, where):
        return jnp.mean(loss.error(prediction, target), where=where)

    grad = jax.value_and_grad
    return (
        Question(f"{name} / jnp.mean(where=): masked value", covered, plain, NO_SLOWER),
        Question(
            f"{name}: masked / unmasked gradient", grad(covered), grad(uncovered), AT_MOST, False
        ),
    )


def _arrays(error: Callable, inputs: str) -> tuple[jax.Array, ...]:
    prediction, target = draw(inputs, SAMPLES, FEATURES)
    arrays = jnp.asarray(prediction), jnp.asarray(target)
    where = np.random.default_rng().random(event_of(error).elements(arrays)) < LEFT
    return *arrays, jnp.asarray(where)
