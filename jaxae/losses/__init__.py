"""Reconstruction losses that mean exactly what they say.

A loss is an elementwise error with a denominator that is named. It takes predictions first, targets
second, and returns a scalar:

>>> import jax, jax.numpy as jnp
>>> from jaxae.losses import Loss, bce, mae, mse, squared_error, sse, sse_per_sample
>>> A = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
>>> Y = jnp.array([[1.0, 0.0, 0.0], [4.0, 5.0, 0.0]])

There is one sum; what differs is what it is divided by: everything, the samples, or nothing.

>>> float(sse(A, Y)), float(sse_per_sample(A, Y)), round(float(mse(A, Y)), 6)
(49.0, 24.5, 8.166667)

Masks and weights cover a prefix of the targets' axes, here the samples. Weight 0 is absent, and
weight 2 is twice:

>>> float(sse_per_sample(A, Y, where=jnp.array([True, False])))
13.0
>>> float(sse_per_sample(A, Y, weights=jnp.array([2.0, 0.0])))
13.0

The gradient is the textbook's, 2(A − Y)/(N·C):

>>> bool(jnp.allclose(jax.grad(mse)(A, Y), 2 * (A - Y) / A.size))
True

Parts of the data add up to the whole, however they are cut:

>>> parts = mse.merged(A[:1], Y[:1]) + mse.merged(A[1:], Y[1:])
>>> round(float(parts.value), 6)
8.166667

A loss of your own is an elementwise error and a denominator:

>>> def cubic_error(prediction, target):
...     return abs(prediction - target) ** 3
>>> float(Loss(cubic_error, unit="sample")(A, Y))
125.5

Binary cross-entropy takes logits, and works on targets between 0 and 1. Its smallest value there is
the targets' entropy, not zero:

>>> grey = jnp.full((1, 4), 0.5)
>>> round(float(bce(jnp.zeros((1, 4)), grey)), 6)
0.693147
"""

from jaxae.losses._base import BaseLoss as BaseLoss
from jaxae.losses._bernoulli import (
    bce as bce,
    bce_from_probabilities as bce_from_probabilities,
    bernoulli as bernoulli,
    binary_cross_entropy as binary_cross_entropy,
    binary_cross_entropy_from_probabilities as binary_cross_entropy_from_probabilities,
)
from jaxae.losses._error import (
    Event as Event,
    closed_form as closed_form,
    derivative_of as derivative_of,
    event_of as event_of,
    from_logits as from_logits,
    identity as identity,
    link_of as link_of,
    reads as reads,
    takes as takes,
)
from jaxae.losses._gaussian import GaussianError as GaussianError, gaussian as gaussian
from jaxae.losses._gradient import (
    Residuals as Residuals,
    analytic_gradient as analytic_gradient,
    backward as backward,
    forward as forward,
)
from jaxae.losses._gradient_check import (
    Difference as Difference,
    GradientReport as GradientReport,
    check_gradient as check_gradient,
)
from jaxae.losses._likelihood import Likelihood as Likelihood
from jaxae.losses._loss import Loss as Loss
from jaxae.losses._mean import (
    Mean as Mean,
    Rows as Rows,
    Statistic as Statistic,
    Total as Total,
)
from jaxae.losses._registry import LOSSES as LOSSES
from jaxae.losses._regression import (
    absolute_error as absolute_error,
    mae as mae,
    mse as mse,
    squared_error as squared_error,
    sse as sse,
    sse_per_sample as sse_per_sample,
)
