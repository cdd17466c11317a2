"""What a run is asked to do: config.json."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jaxae._lookup import lookup
from jaxae.data import NAMES, Dataset, load, stream_dataset
from jaxae.losses import LOSSES, BaseLoss, likelihood_for
from jaxae.models import MODELS, Autoencoder, default_widths
from jaxae.training import EarlyStopping

DEFAULT_UPDATES = 10_000
# Of a larger seed JAX would silently use the last 32 bits.
LARGEST_SEED = 2**32 - 1
SMALLEST = {"epochs": 1, "batch_size": 1, "microbatch_size": 1, "patience": 1, "seed": 0}
CHOICES = {"compute_dtype": ("float32", "bfloat16"), "on_nonfinite": ("stop", "skip")}


@dataclasses.dataclass(frozen=True)
class Config:
    """All that a run depends on besides the data and the versions of its packages.

    Args:
        data: the name or path of the data.
        data_dir: the folder of named data, or None.
        stream: whether training samples are read as they are needed, from a path; else the data are
            in memory.
        model: the model's name.
        layers: the encoder's widths, the last of which is the code; None for the model's default.
        loss: the loss's name.
        epochs: how often the data are visited; None for as many as make 10,000 updates.
        batch_size: how many samples make one update.
        learning_rate: of Adam.
        microbatch_size: how many samples of a batch are in memory at once; None for all.
        compute_dtype: what the model computes in, "float32" or "bfloat16".
        clip: the largest norm of a gradient; None for any.
        average_decay: of a moving average of the parameters; None for no average.
        patience: after how many epochs without a better test loss training ends; None for never.
        on_nonfinite: "stop" or "skip", what happens to an update that is not finite.
        seed: of the initial parameters and of the order of the samples.
        feature_shape: of one sample; None until the data are known.

    Raises:
        ValueError: an unknown model or loss, a number out of range, or named data that are to
            stream.

    Example:
        >>> Config(loss="mze")
        Traceback (most recent call last):
        ValueError: unknown loss 'mze', did you mean 'mse'? Known: bce, ...
    """

    data: str = "digits"
    data_dir: str | None = None
    stream: bool = False
    model: str = "mlp"
    layers: tuple[int, ...] | None = None
    loss: str = "bce"
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    microbatch_size: int | None = None
    compute_dtype: str = "float32"
    clip: float | None = None
    average_decay: float | None = None
    patience: int | None = None
    on_nonfinite: str = "stop"
    seed: int = 0
    feature_shape: tuple[int, ...] | None = None

    def __post_init__(self):
        lookup("model", self.model, MODELS)
        if self.stream and self.data in NAMES:
            raise ValueError(f"{self.data} is not streamed, expected the path of a file or folder")
        lookup("loss", self.loss, LOSSES)
        for name, smallest in SMALLEST.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise ValueError(f"{name} is {value}, expected at least {smallest}")
        if self.seed > LARGEST_SEED:
            raise ValueError(f"seed is {self.seed}, expected at most {LARGEST_SEED}, 32 bits")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a positive number")
        if self.average_decay is not None and not 0 < self.average_decay < 1:
            raise ValueError(f"average_decay is {self.average_decay}, expected between 0 and 1")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                expected = " or ".join(map(repr, known))
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected {expected}")

    def load_data(self) -> Dataset:
        """The data of this name or at this path."""
        return stream_dataset(self.data) if self.stream else load(self.data, self.data_dir)

    def build_loss(self) -> BaseLoss:
        """The loss of this name."""
        return LOSSES[self.loss]

    def build_model(self) -> Autoencoder:
        """The untrained model, whose parameters are drawn from the seed.

        It predicts what the loss takes: the parameters of the loss's likelihood, else logits.

        Raises:
            ValueError: layers that the model does not take, or a feature shape that is not known.
        """
        if self.feature_shape is None:
            raise ValueError("feature_shape is not known; call resolve(dataset) first")
        likelihood = likelihood_for(self.build_loss())
        rngs = nnx.Rngs(self.seed)
        return MODELS[self.model](self.feature_shape, self.layers, likelihood=likelihood, rngs=rngs)

    def arguments(self) -> dict[str, Any]:
        """What `jaxae.training.fit` is called with, besides the model and the data."""
        assert self.epochs is not None, "call resolve(dataset) first"
        stopping = None if self.patience is None else EarlyStopping("test_loss", self.patience)
        return {
            "loss": self.build_loss(),
            "optimizer": optax.adam(self.learning_rate),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "microbatch_size": self.microbatch_size,
            "compute_dtype": None if self.compute_dtype == "float32" else jnp.bfloat16,
            "clip": self.clip,
            "average_decay": self.average_decay,
            "early_stopping": stopping,
            "on_nonfinite": self.on_nonfinite,
            "key": jax.random.key(self.seed),
        }

    def resolve(self, dataset: Dataset) -> "Config":
        """The Config with nothing left to a default and with paths that hold from anywhere."""
        widths = default_widths(math.prod(dataset.feature_shape))
        updates = -(-len(dataset.train) // self.batch_size)
        return dataclasses.replace(
            self,
            data=self.data if self.data in NAMES else _absolute(self.data),
            data_dir=None if self.data_dir is None else _absolute(self.data_dir),
            layers=widths if self.layers is None else self.layers,
            epochs=-(-DEFAULT_UPDATES // updates) if self.epochs is None else self.epochs,
            feature_shape=dataset.feature_shape,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name, ready for `json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_file(cls, path: Path) -> "Config":
        """The Config in a JSON file that holds what `to_json` gave.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file is not JSON, or its fields are not a Config's.
        """
        try:
            fields = json.loads(path.read_text())
            for name in ("layers", "feature_shape"):
                fields[name] = None if fields[name] is None else tuple(fields[name])
            return cls(**fields)
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not a run's configuration ({error})") from error


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
