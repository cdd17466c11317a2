"""Evaluation: what a trained model reaches, in numbers and pictures.

>>> from jaxae.data import load
>>> from jaxae.evaluation import evaluate, pca_mse
>>> from jaxae.models import MLPAutoencoder
>>> digits = load("digits")
>>> metrics = evaluate(MLPAutoencoder(digits.feature_shape), digits.test)
>>> round(metrics["sse_per_sample"] / metrics["mse"])
64

What a linear code of the same size reaches:

>>> round(pca_mse(digits.train, digits.test, components=8), 4)
0.0253
"""

from jaxae.evaluation._metrics import evaluate as evaluate
from jaxae.evaluation._pca import pca_mse as pca_mse
from jaxae.evaluation._pictures import (
    require_matplotlib as require_matplotlib,
    save_losses as save_losses,
    save_reconstructions as save_reconstructions,
)
