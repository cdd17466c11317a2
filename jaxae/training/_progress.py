"""The progress bar: epoch, loss, samples per second and time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int, float, float], None]


@contextmanager
def progress_bar(epochs: int, batches: int, *, show: bool) -> Iterator[Report]:
    """A bar on stderr while the context lasts.

    Args:
        epochs: how many epochs there will be.
        batches: how many batches each has.
        show: whether there is a bar at all.

    Yields:
        `report(epoch, batch, loss, rate)`, which moves the bar to a batch of an epoch; the loss is
        the last one known, the rate in samples per second.
    """
    if not show:
        yield lambda epoch, batch, loss, rate: None
        return
    # rich takes 70 ms to import: only where there is a bar.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.5g}"),
        TextColumn("{task.fields[rate]:,.0f} samples/s"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(
            "", total=epochs * batches, epoch=1, epochs=epochs, loss=float("nan"), rate=0.0
        )

        def report(epoch: int, batch: int, loss: float, rate: float) -> None:
            done = (epoch - 1) * batches + batch
            bar.update(task, completed=done, epoch=epoch, loss=loss, rate=rate)

        yield report
