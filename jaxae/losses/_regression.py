"""Errors between real numbers, and the losses made of them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.losses._elementary import absolute
from jaxae.losses._error import closed_form
from jaxae.losses._loss import Loss


@closed_form(lambda prediction, target: 2 * (prediction - target))
def squared_error(
    prediction: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Squared error, elementwise: e = (prediction − target)².

    No ½ (optax's `l2_loss` has one). Its derivative is 2(prediction − target).

    Args:
        prediction: of any shape.
        target: of the same shape.

    Returns:
        The errors, of the same shape, in the square of the target's unit.

    Example:
        >>> import jax.numpy as jnp
        >>> squared_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 4.0, 0.0])).tolist()
        [0.0, 4.0, 9.0]

    References:
        optax.losses.squared_error, https://optax.readthedocs.io/en/latest/api/losses.html
    """
    return jnp.square(prediction - target)


@closed_form(lambda prediction, target: jnp.sign(prediction - target))
def absolute_error(
    prediction: Float[Array, "..."], target: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Absolute error, elementwise: e = |prediction − target|.

    Its derivative is sign(prediction − target), and 0 where both are equal.

    Args:
        prediction: of any shape.
        target: of the same shape.

    Returns:
        The errors, of the same shape, in the target's unit.

    Example:
        >>> import jax.numpy as jnp
        >>> absolute_error(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 4.0, 0.0])).tolist()
        [0.0, 2.0, 3.0]

    References:
        torch.nn.L1Loss, https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
    """
    return absolute(prediction - target)


mse = Loss(squared_error).documented(
    "mse",
    """Mean squared error over all numbers: SSE / (N·C).

    Version 2 of the question "which MSE?", and what Keras, torch and scikit-learn compute: equal to
    `jnp.mean((A - Y) ** 2)` and to `jnp.mean(jax.vmap(lambda a, y: jnp.mean((a - y) ** 2))(A, Y))`.
    Its gradient is 2(A − Y)/(N·C). With weights it is Σ w(A − Y)² / Σ w. In the square of the
    target's unit.

    Example:
        >>> import jax.numpy as jnp
        >>> A = jnp.array([[300_000.0, 3.0], [500_000.0, 4.0]])
        >>> Y = jnp.array([[350_000.0, 4.0], [450_000.0, 3.0]])
        >>> float(mse(A, Y))
        1250000000.0

    References:
        sklearn.metrics.mean_squared_error,
        https://scikit-learn.org/stable/modules/generated/sklearn.metrics.mean_squared_error.html
        torch.nn.MSELoss, https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
    """,
)

sse_per_sample = Loss(squared_error, unit="sample").documented(
    "sse_per_sample",
    """Squared error summed over a sample's features, averaged over samples: SSE / N.

    Version 1 of the question "which MSE?": C times `mse`. Hinton & Salakhutdinov print it (3.00 on
    MNIST). Its gradient is 2(A − Y)/N. In the square of the target's unit, for each sample.

    Example:
        >>> import jax.numpy as jnp
        >>> float(sse_per_sample(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.zeros((2, 2))))
        15.0

    References:
        Hinton & Salakhutdinov, Reducing the dimensionality of data with neural networks, Science
        313, 2006, p. 506, https://doi.org/10.1126/science.1127647
    """,
)

sse = Loss(squared_error, unit="total").documented(
    "sse",
    """The textbook's sum of squared errors, divided by nothing: SSE = Σ (A − Y)².

    It doubles when the batch does, and so does its gradient, 2(A − Y). In the square of the
    target's unit.

    Example:
        >>> import jax.numpy as jnp
        >>> float(sse(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.zeros((2, 2))))
        30.0

    References:
        Hastie, Tibshirani & Friedman, The elements of statistical learning, 2nd edition, Springer,
        2009, equation 3.2, https://hastie.su.domains/ElemStatLearn/
    """,
)

mae = Loss(absolute_error).documented(
    "mae",
    """Mean absolute error over all numbers: Σ |A − Y| / (N·C).

    Its gradient is sign(A − Y)/(N·C), and 0 where both are equal. In the target's unit.

    Example:
        >>> import jax.numpy as jnp
        >>> float(mae(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.zeros((2, 2))))
        2.5

    References:
        sklearn.metrics.mean_absolute_error,
        https://scikit-learn.org/stable/modules/generated/sklearn.metrics.mean_absolute_error.html
    """,
)

__test__ = {loss.name: loss.__doc__ for loss in (mse, sse_per_sample, sse, mae)}
