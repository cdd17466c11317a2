"""Where libraries clamp the logarithm of a probability, so that cross-entropies stay finite."""

KERAS_EPSILON = 1e-7
"""Keras clips a probability to [ε, 1 − ε] before its logarithm, and its gradient is 0 outside.

It is `ClippedBinaryCrossEntropy(KERAS_EPSILON)` of `jaxae.losses`; keras/src/backend/config.py.
"""

TORCH_LOG_CLAMP = -100.0
"""torch counts a logarithm below −100 as −100, as `binary_cross_entropy_from_probabilities` does.

https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
"""
