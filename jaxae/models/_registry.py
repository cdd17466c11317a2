"""Models by the names that the command line knows them by."""

from collections.abc import Callable, Mapping

from jaxae.models._mlp import MLPAutoencoder

MODELS: Mapping[str, Callable] = {"mlp": MLPAutoencoder}
