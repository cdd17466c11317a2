"""Where libraries clamp the logarithm of a probability, so that cross-entropies stay finite."""

KERAS_EPSILON = 1e-7
"""Keras clips a probability to [ε, 1 − ε] before its logarithm, and its gradient is 0 outside.

`ClippedBinaryCrossEntropy(KERAS_EPSILON)` of `jaxae.losses` does, and so do the other errors whose
name begins with Clipped. A divergence has 1, not 1 − ε. keras/src/backend/config.py.
"""

TORCH_LOG_CLAMP = -100.0
"""torch counts a logarithm below −100 as −100, as `binary_cross_entropy_from_probabilities` does.

https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
"""
