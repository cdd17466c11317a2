"""The promise: the same data give the same number and the same gradient, however they are cut.

Hundreds of random cuts of random objectives of masked, weighted terms of every kind: microbatches,
ragged tails, empty pieces, pieces that are masked altogether, padding that holds NaN.
"""

import functools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    FreeBitsError,
    Loss,
    Mean,
    activation_from_logits,
    bce,
    bernoulli,
    capacity,
    codebook,
    commitment,
    free_bits,
    kl_sparsity,
    l1,
    mse,
    squared_error,
    sse,
    total_correlation,
)
from jaxae.objectives import (
    Batch,
    Objective,
    Term,
    batch_statistics,
    contractive,
    finish,
    kl,
    latent_term,
    prior_matching,
    reconstruction,
)

CUTS = 200
SAMPLES, FEATURES, HIDDEN, LATENTS, CODES = 24, 8, 6, 3, 5
PIECES = 8
PADDING = -1


class Outputs(NamedTuple):
    prediction: Any
    latent: Any
    mean: Any
    log_variance: Any
    code: Any


class Model(NamedTuple):
    """A variational autoencoder whose latents also have the nearest of some codes."""

    params: Any
    likelihood: Any = bernoulli

    def encode(self, x):
        return jnp.tanh(x @ self.params["to_in"]) @ self.params["to_mean"]

    def __call__(self, x, *, key):
        mean = self.encode(x)
        log_variance = jnp.tanh(x @ self.params["to_in"]) @ self.params["to_log_variance"]
        noise = jax.random.normal(key, mean.shape, mean.dtype)
        latent = mean + jnp.exp(0.5 * log_variance) * noise
        nearest = jnp.argmin(((latent[None] - self.params["to_codes"]) ** 2).sum(-1))
        prediction = jnp.tanh(latent @ self.params["to_back"]) @ self.params["to_out"]
        return Outputs(prediction, latent, mean, log_variance, self.params["to_codes"][nearest])


def known(view):
    return ~jnp.isnan(view.target)


def bright(view):
    return known(view) & (view.input > 0.3)


def importance(view):
    """Weights of single features, some of them 0."""
    return jnp.where(view.input > 0.2, view.input, 0)


def loudness(view):
    """A weight of the whole sample."""
    return view.input.sum()


def first_latents(view):
    return (jnp.arange(LATENTS) < 1) | (view.input[0] > 0.5)


def pseudo_huber(prediction, target):
    return jnp.sqrt(1 + (prediction - target) ** 2) - 1


def squared(view):
    return Loss(squared_error).mean(view.outputs.latent, jnp.zeros_like(view.outputs.latent))


def scale(value):
    """The shared scale's part of a normal likelihood: a logarithm of a batch mean."""
    return jnp.log(value + 0.01)


def noise(view):
    """A square: a mean of both signs would cancel, and with it its digits."""
    drawn = jax.random.normal(jax.random.fold_in(view.key, 77), view.input.shape, view.input.dtype)
    product = drawn * view.outputs.prediction
    return Mean(jnp.sum(product * product), jnp.ones((), view.input.dtype))


OBJECTIVE = Objective(
    {
        "bce": reconstruction(bce, where=known, weights=importance),
        "mse": reconstruction(mse, where=bright),
        "sse_per_sample": reconstruction(Loss(squared_error, "sample"), where=known),
        "sse": reconstruction(sse, 0.1, where=known),
        "pseudo_huber": reconstruction(
            Loss(pseudo_huber, "element", "valid"), where=known, weights=loudness
        ),
        "kl": kl(),
        "kl_of_some": latent_term(
            Loss(FreeBitsError(0.01), "sample"), "mean", "log_variance", where=first_latents
        ),
        "free_bits": kl(loss=free_bits(0.05)),
        "capacity": kl(loss=capacity(2.0)),
        "kl_sparsity": latent_term(
            kl_sparsity(0.2, activation_from_logits), where=first_latents, weights=loudness
        ),
        "l1": latent_term(l1, weights=loudness),
        "scale": Term(squared, finish=scale),
        "contractive": contractive(),
        "hutchinson": contractive(probes=2),
        "noise": Term(noise),
        "mmd": prior_matching(),
        "total_correlation": latent_term(total_correlation, "latent", "mean", "log_variance"),
        "commitment": latent_term(commitment, "latent", "code", weights=loudness),
        "codebook": latent_term(codebook, "latent", "code"),
    }
)


@jax.jit
def value_and_gradient(params, pieces, coefficients):
    """Each term's value, and the gradient of their sum, from pieces whose statistics are added."""

    def value(params):
        def one(piece):
            return batch_statistics(OBJECTIVE, Model(params), piece, jax.random.key(1))

        stacked = jax.lax.map(one, pieces)
        parts = [jax.tree.map(operator.itemgetter(i), stacked) for i in range(len(pieces.index))]
        merged = {n: functools.reduce(operator.add, [p[n] for p in parts]) for n in OBJECTIVE}
        terms = {name: finish(Objective({name: t}), merged) for name, t in OBJECTIVE.items()}
        return jnp.sum(coefficients * jnp.stack(list(terms.values()))), terms

    (_, terms), gradient = jax.value_and_grad(value, has_aux=True)(params)
    return terms, gradient


def parameters(rng):
    shapes = {
        "to_in": (FEATURES, HIDDEN),
        "to_mean": (HIDDEN, LATENTS),
        "to_log_variance": (HIDDEN, LATENTS),
        "to_back": (LATENTS, HIDDEN),
        "to_out": (HIDDEN, FEATURES),
        "to_codes": (CODES, LATENTS),
    }
    return {name: rng.normal(0, 0.7, shape) for name, shape in shapes.items()}


def random_pieces(rng):
    """Indices of samples, −1 for padding, of shape (pieces, samples): every sample once."""
    order = rng.permutation(SAMPLES)
    if rng.random() < 0.5:  # microbatches and a ragged tail
        size = rng.integers(-(-SAMPLES // PIECES), SAMPLES + 1)
        edges = np.minimum(size * np.arange(1, PIECES), SAMPLES)
    else:  # pieces of any size, empty ones too
        edges = np.sort(rng.integers(0, SAMPLES + 1, PIECES - 1))
    pieces = np.full((PIECES, SAMPLES), PADDING)
    for row, part in zip(pieces, np.split(order, edges), strict=True):
        row[: len(part)] = part
        rng.shuffle(row)
    return pieces


def random_data(rng, pieces):
    """Inputs, targets with NaN for what is not known, weights; one piece is masked altogether."""
    X = rng.random((SAMPLES, FEATURES))
    target = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    target[rng.random(SAMPLES) < 0.1] = np.nan
    weight = rng.integers(0, 3, SAMPLES) * rng.choice([1.0, 0.5])
    masked, unknown = pieces[rng.integers(PIECES)], pieces[rng.integers(PIECES)]
    weight[masked[masked != PADDING]] = 0
    target[unknown[unknown != PADDING]] = np.nan
    X[weight == 0] = np.nan
    return X, target, weight


def take(data, index):
    X, target, weight = data
    present = index != PADDING
    fill = np.where(present, 0, np.nan)[..., None]
    return Batch(X[index] + fill, target[index] + fill, index, np.where(present, weight[index], 0))


def prepared(rng, dtype):
    """Parameters, the data cut and whole, and coefficients of which most are 0."""
    pieces = random_pieces(rng)
    data = random_data(rng, pieces)
    coefficients = rng.exponential(size=len(OBJECTIVE)) * (rng.random(len(OBJECTIVE)) < 0.4)
    whole = take(data, np.arange(SAMPLES)[None])
    return jax.tree.map(
        lambda x: x.astype(dtype if x.dtype == np.float64 else np.int32),
        (parameters(rng), take(data, pieces), whole, coefficients),
    )


def distances(got, expected, sizes):
    """The largest difference in each array over the array's largest value, or over its size."""
    return {
        name: np.abs(got[name] - x).max() / max(np.abs(x).max(), sizes.get(name, 0), 1e-30)
        for name, x in expected.items()
    }


# Some values are differences of larger numbers, and have their rounding errors: |KL − 2|, the
# logarithm of a mean, and that of a ratio of densities.
SIZES = {"capacity": 2.0, "scale": 1.0, "total_correlation": 1.0}


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_no_cut_changes_a_value_or_a_gradient(dtype, limit):
    worst = {}
    with jax.enable_x64(dtype == np.float64):
        for seed in range(CUTS):
            params, cut, whole, coefficients = prepared(np.random.default_rng(seed), dtype)
            got, expected = (
                jax.device_get(value_and_gradient(params, pieces, coefficients))
                for pieces in (cut, whole)
            )
            assert all(np.isfinite(x).all() for x in jax.tree.leaves((got, expected)))
            for one, other in zip(got, expected, strict=True):
                for name, d in distances(one, other, SIZES).items():
                    worst[name] = max(worst.get(name, 0), d)
    print({name: f"{d:.1e}" for name, d in worst.items()})
    assert max(worst.values()) <= limit, worst
