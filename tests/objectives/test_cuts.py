"""The promise: the same data give the same number and the same gradient, however they are cut.

Hundreds of random cuts of random objectives of masked, weighted terms of every kind: microbatches,
ragged tails, empty pieces, pieces that are masked altogether, padding that holds NaN; and slices of
the data whose lengths are as ragged.
"""

import functools
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import (
    GradientDifference,
    HuberError,
    Loss,
    activation_from_logits,
    bce,
    bernoulli,
    capacity,
    codebook,
    commitment,
    cosine,
    free_bits,
    kl_sparsity,
    l1,
    mmd,
    shared_gaussian_nll,
    squared_error,
    sse,
    total_correlation,
)
from jaxae.objectives import (
    Batch,
    Objective,
    batch_statistics,
    contractive,
    finish,
    kl,
    latent_term,
    loss_term,
    prior_matching,
    reconstruction,
)

CUTS, SLICINGS = 200, 20
SAMPLES, FEATURES, HIDDEN, LATENTS, CODES = 12, 8, 6, 3, 5
PIECES = 5
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


def logits_and_input(view):
    return view.outputs.prediction, view.input


ROUGHNESS = Loss(GradientDifference(2, axes=(0,)), "sample")

OBJECTIVE = Objective(
    {
        "bce": reconstruction(bce, where=known, weights=importance),
        "mse": reconstruction(Loss(squared_error, count="valid"), where=bright, weights=loudness),
        "sse_per_sample": reconstruction(
            Loss(squared_error, "sample", "nonzero"), where=known, weights=importance
        ),
        "sse": reconstruction(sse, 0.1, where=known),
        "huber": reconstruction(Loss(HuberError(0.3), count="all"), where=bright),
        "shared_gaussian_nll": reconstruction(shared_gaussian_nll, where=known, weights=importance),
        "cosine": reconstruction(cosine, where=known, weights=loudness),
        "gradient_difference": loss_term(ROUGHNESS, logits_and_input, weights=loudness),
        "kl": kl(),
        "free_bits": kl(loss=free_bits(0.05)),
        "capacity": kl(loss=capacity(2.0)),
        "kl_sparsity": latent_term(
            kl_sparsity(0.02, activation_from_logits),
            "log_variance",
            where=first_latents,
            weights=loudness,
        ),
        "l1": latent_term(l1, weights=loudness),
        "hutchinson": contractive(probes=2),
        "mmd": prior_matching(),
        "total_correlation": latent_term(total_correlation, "latent", "mean", "log_variance"),
        "commitment": latent_term(commitment, "latent", "code", weights=loudness),
        "codebook": latent_term(codebook, "latent", "code"),
    }
)

# A value that comes near 0 as a difference of larger numbers has their rounding errors, which are
# compared with the size of those numbers, if it is more than the array's largest. The sizes are
# about twice what the limit needs: |KL − 2| is as small as 0.006 and has errors of 5e-7, a multiple
# of log(2π·MSE) + 1 of 7e-7, the sum of terms of both signs of 1e-7 where it is 0.1, the logarithm
# of ratios of densities of 1e-7, and its gradient, whose two parts cancel as well, of 5e-8.
SIZES = {
    "capacity": 0.5,
    "shared_gaussian_nll": 1.0,
    "sum": 0.25,
    "total_correlation": 0.25,
    "gradient of total_correlation": 0.1,
}


def added(parts):
    """The merged statistics of each name."""
    return {n: functools.reduce(operator.add, [part[n] for part in parts]) for n in parts[0]}


@jax.jit
def of_pieces(params, pieces, coefficients):
    """Each term and their sum, and each one's gradient, from pieces whose statistics are added."""

    def values(params):
        def one(piece):
            return batch_statistics(OBJECTIVE, Model(params), piece, jax.random.key(1))

        stacked = jax.vmap(one)(pieces)
        parts = [jax.tree.map(operator.itemgetter(i), stacked) for i in range(PIECES)]
        merged = added(parts)
        terms = [finish(Objective({name: term}), merged) for name, term in OBJECTIVE.items()]
        return jnp.stack([*terms, jnp.sum(coefficients * jnp.stack(terms))])

    got, pull = jax.vjp(values, params)
    (gradients,) = jax.lax.map(pull, jnp.eye(len(got), dtype=got.dtype))
    return got, gradients


def parameters(rng):
    shapes = {
        "to_in": (FEATURES, HIDDEN),
        "to_mean": (HIDDEN, LATENTS),
        "to_log_variance": (HIDDEN, LATENTS),
        "to_back": (LATENTS, HIDDEN),
        "to_out": (HIDDEN, FEATURES),
        "to_codes": (CODES, LATENTS),
    }
    params = {name: rng.normal(0, 0.7, shape) for name, shape in shapes.items()}
    return params | {"to_log_variance": 0.5 * params["to_log_variance"]}


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
    """Parameters, the data cut and whole, and coefficients of which most are 0.

    The whole is one piece; the others are padding, so that both are compiled once. That padding
    changes nothing is asked in test_merge.py.
    """
    pieces = random_pieces(rng)
    data = random_data(rng, pieces)
    coefficients = rng.exponential(size=len(OBJECTIVE)) * (rng.random(len(OBJECTIVE)) < 0.4)
    whole = np.full((PIECES, SAMPLES), PADDING)
    whole[0] = np.arange(SAMPLES)
    return jax.tree.map(
        lambda x: x.astype(dtype if x.dtype == np.float64 else np.int32),
        (parameters(rng), take(data, pieces), take(data, whole), coefficients),
    )


def far(got, expected, size=0.0):
    """The largest difference over the array's largest value, or over its size if that is larger."""
    assert np.isfinite(got).all()
    return np.abs(got - expected).max() / max(np.abs(expected).max(), size, 1e-30)


def distances(got, expected):
    """How far each term, and its gradient by each array, are from what is expected."""
    (values, gradients), (exact, slopes) = got, expected
    for i, name in enumerate([*OBJECTIVE, "sum"]):
        yield name, far(values[i], exact[i], SIZES.get(name, 0))
        for array in gradients:
            size = SIZES.get(f"gradient of {name}", 0)
            yield f"{name} by {array}", far(gradients[array][i], slopes[array][i], size)


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_no_cut_changes_a_value_or_a_gradient(dtype, limit):
    worst = {}
    with jax.enable_x64(dtype == np.float64):
        for seed in range(CUTS):
            params, cut, whole, coefficients = prepared(np.random.default_rng(seed), dtype)
            both = (jax.device_get(of_pieces(params, x, coefficients)) for x in (cut, whole))
            for name, distance in distances(*both):
                worst[name] = max(worst.get(name, 0), distance)
    beyond = {name: distance for name, distance in worst.items() if distance > limit}
    assert not beyond


# Losses of every kind, as functions of slices of arrays themselves, and how many arrays they take.
SLICED = {
    "sse_per_sample": (Loss(squared_error, "sample", "nonzero"), 2),
    "sse": (sse, 2),
    "shared_gaussian_nll": (shared_gaussian_nll, 2),
    "cosine": (cosine, 2),
    "kl_sparsity": (kl_sparsity(0.02, activation_from_logits), 1),
    "mmd": (mmd, 2),
}
LENGTHS = (5, 5, 1, 1, 0, 0)  # of slices, in any order; each length is compiled once


@jax.jit
def of_slice(predictions, target, where, weights):
    """The statistics of a slice of the data; each loss has a copy of the predictions."""
    return {
        name: loss.merged(*(predictions[name], target)[:arrays], where=where, weights=weights)
        for name, (loss, arrays) in SLICED.items()
    }


@jax.jit
def total(statistics):
    values = {name: loss.finish(statistics[name].value) for name, (loss, _) in SLICED.items()}
    return functools.reduce(operator.add, values.values()), values


@functools.partial(jax.value_and_grad, has_aux=True)
def of_slices(predictions, others):
    return total(added([of_slice(p, *other) for p, other in zip(predictions, others, strict=True)]))


def sliced(arrays, lengths):
    """The arrays' slices of these lengths, and each loss's copy of the predictions."""
    slices = zip(*(np.split(x, np.cumsum(lengths)[:-1]) for x in arrays), strict=True)
    predictions, *others = zip(*slices, strict=True)
    return [dict.fromkeys(SLICED, p) for p in predictions], list(zip(*others, strict=True))


def test_no_slicing_changes_a_value_or_a_gradient():
    worst = {}
    with jax.enable_x64(True):
        for seed in range(SLICINGS):
            rng = np.random.default_rng(seed)
            A, Y = rng.normal(size=(2, SAMPLES, FEATURES))
            where, weights = rng.random(SAMPLES) > 0.2, 1.0 * rng.integers(0, 3, SAMPLES)
            A[~where] = np.nan
            arrays = A, Y, where, weights
            (_, values), parts = of_slices(*sliced(arrays, rng.permutation(LENGTHS)))
            (_, exact), (slopes,) = of_slices(*sliced(arrays, [SAMPLES]))
            for name in SLICED:
                gradient = np.concatenate([part[name] for part in parts])
                each = far(values[name], exact[name]), far(gradient, slopes[name])
                worst[name] = max(worst.get(name, 0), *each)
    beyond = {name: distance for name, distance in worst.items() if distance > 1e-12}
    assert not beyond
