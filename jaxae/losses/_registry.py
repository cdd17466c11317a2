"""Ready-made losses by name."""

from collections.abc import Mapping

from jaxae.losses._bernoulli import bce, bce_from_probabilities
from jaxae.losses._loss import Loss
from jaxae.losses._regression import mae, mse, sse, sse_per_sample

LOSSES: Mapping[str, Loss] = {
    "bce": bce,
    "bce_from_probabilities": bce_from_probabilities,
    "mae": mae,
    "mse": mse,
    "sse": sse,
    "sse_per_sample": sse_per_sample,
}
