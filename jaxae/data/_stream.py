"""A Stream: samples that need not fit into memory, read in shuffled whole batches ahead of use."""

import dataclasses
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxae.data._samples import Samples
from jaxae.data._scaling import Scaling

# As many threads read as there are cores, within these bounds; each batch is read by one.
THREADS = (2, 8)
# Of what is read into memory to be kept, so many samples and so many bytes at most.
KEPT, KEPT_BYTES = 10_000, 1 << 26


class Batch(NamedTuple):
    """Samples that are read together.

    Args:
        rows: the samples, shape (B, *feature_shape), float32 in [0, 1].
        indices: of each in all of the data.
    """

    rows: Float[np.ndarray, "B ..."]
    indices: Int[np.ndarray, " B"]


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """Samples in [0, 1] that are read from where they lie, batch by batch.

    Args:
        source: the samples where they lie.
        scaling: how they are brought into [0, 1]; decided once, so that each batch is scaled alike.

    Example:
        >>> rows = np.arange(10.0)
        >>> source = Samples("digits", rows.shape, rows.dtype, rows.__getitem__)
        >>> stream = Stream(source, source.scaling())
        >>> stream
        Stream(digits: 10 samples of scalar; divided by 9, the largest value)
        >>> [batch.indices.tolist() for batch in stream.batches(4)]
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        >>> [batch.indices.tolist() for batch in stream.batches(4, seed=0, first=1)]
        [[3, 5, 9, 0], [8, 1]]
    """

    source: Samples
    scaling: Scaling

    def __post_init__(self):
        if self.source.shape[0] < 1:
            raise ValueError(f"{self.source.name}: no samples, expected one or more")

    def __len__(self) -> int:
        return self.source.shape[0]

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.feature_shape)) or "scalar"
        about = f"{len(self):,} samples of {shape}; {self.scaling.sentence}"
        return f"Stream({self.source.name}: {about})"

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.source.shape[1:]

    @property
    def kept(self) -> int:
        """How many samples are kept in memory at most, e.g. to test on: 10,000, or 64 MiB."""
        sample = np.dtype(np.float32).itemsize * max(1, math.prod(self.feature_shape))
        return min(KEPT, max(1, KEPT_BYTES // sample))

    def fingerprint(self) -> str:
        """What tells these data from others, without reading all: shape, dtype, a few samples."""
        checksum = zlib.crc32(self.scaling(self.source.some()).tobytes())
        shape = "×".join(map(str, self.source.shape))
        return f"{shape} {self.source.dtype} {checksum:08x}"

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | Sequence[int] | None = None,
        epoch: int = 0,
        first: int = 0,
    ) -> Iterator[Batch]:
        """An epoch: every sample once, in batches that are read ahead by several threads.

        The order takes 4 bytes of memory for each sample.

        Args:
            batch_size: how many samples make a batch; the last one has what is left.
            seed: what the order is drawn from, together with the epoch; None for the data's own.
            epoch: which epoch; equal seeds and epochs give equal orders.
            first: the batch to begin with; those before it are not read.

        Returns:
            An iterator of Batches.

        Raises:
            ModuleNotFoundError: grain is missing.
            ValueError: a batch size below 1; and while reading, samples that are broken, not
                finite, or outside of what the scaling brings into [0, 1].
        """
        if batch_size < 1 or first < 0:
            raise ValueError(
                f"batch_size is {batch_size} and first {first}, expected at least 1 and 0"
            )
        grain = _grain()
        order = None if seed is None else _order(len(self), seed, epoch)

        def read(batch: int) -> Batch:
            start, stop = batch * batch_size, min((batch + 1) * batch_size, len(self))
            index = np.arange(start, stop) if order is None else order[start:stop]
            return Batch(self.read(index), index)

        batches = grain.MapDataset.range(first, -(-len(self) // batch_size)).map(read)
        threads = min(max(THREADS[0], os.cpu_count() or 1), THREADS[1])
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
        return _until_closed(iter(batches.to_iter_dataset(options)))

    def read(self, index: Int[np.ndarray, " B"]) -> Float[np.ndarray, "B ..."]:
        """The samples of some indices, scaled.

        Raises:
            ValueError: samples that are not finite, or outside of what is brought into [0, 1].
        """
        rows = self.scaling(self.source.read(index))
        if not (rows.min() >= 0 and rows.max() <= 1):
            axes = tuple(range(1, rows.ndim))
            bad = np.flatnonzero(~((rows >= 0) & (rows <= 1)).all(axis=axes))[0]
            raise ValueError(
                f"{self.source.name}: sample {index[bad]} has values from {rows[bad].min():g} to "
                f"{rows[bad].max():g} after the scaling that its first look at the data decided "
                f"({self.scaling.sentence}), expected [0, 1]; remove it, or pass full_scale="
            )
        return rows


class Streams(NamedTuple):
    """Samples to train on and to test on, of which either may be in memory.

    Args:
        train: what is trained on.
        test: what is evaluated after each epoch, or None.
    """

    train: Stream | np.ndarray
    test: Stream | np.ndarray | None


def _order(samples: int, seed: int | Sequence[int], epoch: int) -> Int[np.ndarray, " N"]:
    """All indices, shuffled: the order in which samples in memory are visited as well."""
    order = np.arange(samples, dtype=np.int32 if samples < 2**31 else np.int64)
    seeds = [seed] if isinstance(seed, int) else seed
    np.random.default_rng([*seeds, epoch]).shuffle(order)
    return order


def _until_closed(batches: Any) -> Iterator[Batch]:
    try:
        yield from batches
    finally:
        batches.close()


def _grain() -> Any:
    # Grain takes a second to import: only where data are streamed.
    try:
        import grain
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "streaming needs grain: pip install 'jaxae[stream]'", name="grain"
        ) from error
    return grain
