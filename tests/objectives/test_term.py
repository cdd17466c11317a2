from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.losses import bce, mse, sse_per_sample
from jaxae.objectives import (
    Batch,
    Objective,
    batch_statistics,
    finish,
    loss_term,
    reconstruction,
)


def test_an_objective_is_a_mapping_in_its_own_order():
    terms = {"b": reconstruction(mse), "a": reconstruction(bce)}
    objective = Objective(terms)
    assert dict(objective) == terms
    assert list(objective) == ["b", "a"]
    assert len(objective) == 2


def test_equal_objectives_are_equal_and_hash_alike():
    one, two = (Objective({"r": reconstruction(mse)}) for _ in range(2))
    other = Objective({"r": reconstruction(bce)})
    assert one == two
    assert hash(one) == hash(two)
    assert one != other


def test_an_objective_is_frozen():
    with pytest.raises(AttributeError):
        Objective({"r": reconstruction(mse)}).terms = ()


def test_an_objective_without_terms_is_refused():
    with pytest.raises(ValueError, match="no terms"):
        Objective({})


class TwoOutputs(NamedTuple):
    pixels: Any
    label: Any


class TwoHeads:
    """Predicts an image, some of whose pixels are known, and the logit of a label."""

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x, *, key):
        return TwoOutputs(self.scale * x, self.scale * x.sum())


def pixels(view):
    return view.outputs.pixels, view.target["image"]


def label(view):
    return view.outputs.label, view.target["label"]


def known(view):
    return view.target["known"]


def labelled(view):
    return view.target["label"] >= 0


def confidence(view):
    return view.target["confidence"]


def test_several_outputs_have_masks_weights_and_denominators_of_their_own(rng):
    objective = Objective(
        {
            "image": loss_term(sse_per_sample, pixels, where=known),
            "label": loss_term(bce, label, coefficient=3.0, where=labelled, weights=confidence),
        }
    )
    X = rng.random((5, 2, 3)).astype(np.float32)
    target = {
        "image": X**2,
        "known": rng.random((5, 2, 3)) > 0.4,
        "label": np.float32([1, 0, -1, 1, 0]),
        "confidence": np.float32([1, 0.5, 9, 2, 1]),
    }
    weight = np.float32([1, 1, 1, 0, 2])
    batch = jax.tree.map(jnp.asarray, Batch(X, target, np.arange(5), weight))

    def value(scale):
        statistics = batch_statistics(objective, TwoHeads(scale), batch, jax.random.key(0))
        return finish(objective, statistics)

    def expected(scale):
        Z = scale * X
        image = sse_per_sample(Z, X**2, where=target["known"], weights=weight)
        weights = weight * target["confidence"]
        given = target["label"] >= 0
        return image + 3 * bce(Z.sum((1, 2)), target["label"], where=given, weights=weights)

    chex.assert_trees_all_close(
        jax.value_and_grad(value)(0.3), jax.value_and_grad(expected)(0.3), rtol=1e-5
    )
