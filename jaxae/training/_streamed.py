"""Samples that need not fit into memory: an epoch is many chunks, read ahead and trained on."""

import concurrent.futures
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from jaxae.training._layout import Layout
from jaxae.training._loop import Chunk
from jaxae.training._order import PADDING, in_order

# One chunk is trained on, one is on its way to the device, and a few are being read.
CHUNK_BYTES = 1 << 24
BYTES_A_NUMBER = 4
LARGEST_INDEX = np.iinfo(np.int32).max


@runtime_checkable
class Streamable(Protocol):
    """What can be streamed, e.g. a `jaxae.data.Stream`: samples by epochs in an order of theirs."""

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        ...

    def __len__(self) -> int: ...

    def batches(
        self, batch_size: int, *, seed: Sequence[int] | None, epoch: int, first: int
    ) -> Iterator[tuple[Float[np.ndarray, "B ..."], Int[np.ndarray, " B"]]]:
        """An epoch's samples and their indices, so many at once, from batch `first` on.

        The order is the seed's and the epoch's, or without a seed that of the data.
        """
        ...

    def fingerprint(self) -> str:
        """What tells these data from others."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Streamed:
    """A stream's samples, in chunks of whole batches of which the last is padded.

    Visited in the order in which samples on the device would be: streaming changes no parameter.

    Args:
        stream: where the samples come from.
        batch_size: how many make one update.
        layout: the devices that they are put on.

    Raises:
        ValueError: more samples than 32 bits can index.
    """

    stream: Streamable
    batch_size: int
    layout: Layout

    def __post_init__(self):
        if self.samples > LARGEST_INDEX:
            raise ValueError(
                f"the stream has {self.samples:,} samples, expected at most {LARGEST_INDEX:,}, "
                "which 32 bits can index; stream a part of them"
            )

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.stream)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.stream.feature_shape

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        return -(-self.samples // self.batch_size)

    @property
    def batches_a_chunk(self) -> int:
        """As many as fill some megabytes, and about as many in the last chunk as in the others."""
        most = max(1, samples_a_chunk(self.feature_shape) // self.batch_size)
        chunks = -(-self.batches // most)
        return -(-self.batches // chunks)

    def chunks(self, key: PRNGKeyArray, epoch: int, first: int) -> Iterator[Chunk]:
        """An epoch's chunks in an order of its own, from chunk `first` on."""
        return self._chunks(np.asarray(jax.random.key_data(key)).tolist(), epoch, first)

    def in_order(self) -> Iterator[Chunk]:
        """All samples once, in their own order."""
        return self._chunks(None, 0, 0)

    def fingerprint(self) -> str:
        """What the stream says of itself."""
        return self.stream.fingerprint()

    def _chunks(self, seed: Sequence[int] | None, epoch: int, first: int) -> Iterator[Chunk]:
        """Chunks, each put on the device while the one before it is trained on."""
        size = self.batches_a_chunk * self.batch_size
        batches = self.stream.batches(size, seed=seed, epoch=epoch, first=first)

        def following() -> Chunk | None:
            batch = next(batches, None)
            return None if batch is None else self._chunk(*batch)

        with concurrent.futures.ThreadPoolExecutor(1, "chunks") as thread:
            ahead = thread.submit(following)
            while (chunk := ahead.result()) is not None:
                ahead = thread.submit(following)
                yield chunk

    def _chunk(self, rows: Any, indices: Any) -> Chunk:
        order = in_order(len(rows), self.batch_size, self.layout.count)
        missing = self.batches_a_chunk * self.batch_size - len(rows)
        return Chunk(
            self.layout.place_data(_padded(rows, missing, 0)),
            self.layout.place(_padded(indices.astype(np.int32), missing, PADDING)),
            self.layout.place(_padded(order, self.batches_a_chunk - len(order), PADDING)),
        )


def samples_a_chunk(feature_shape: tuple[int, ...]) -> int:
    """How many samples of a shape fill some megabytes; at least one."""
    return max(1, CHUNK_BYTES // (BYTES_A_NUMBER * max(1, math.prod(feature_shape))))


def _padded(x: np.ndarray, missing: int, value: int) -> np.ndarray:
    """An array with so many more rows, of one value."""
    if not missing:
        return x
    return np.concatenate([x, np.full((missing, *x.shape[1:]), value, x.dtype)])
