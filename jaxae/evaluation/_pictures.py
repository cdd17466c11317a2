"""Pictures: reconstructions below their inputs, and the loss over epochs."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 10
# So few features are drawn as points too: one alone makes no line.
FEW = 8
INPUT, RECONSTRUCTION = "#444444", "#c2410c"


def save_reconstructions(
    path: str | os.PathLike, inputs: ArrayLike, reconstructions: ArrayLike
) -> None:
    """Write a PNG of up to ten samples, each above its reconstruction.

    Samples of shape (H, W), (H, W, 1) and (H, W, 3) are drawn as images from 0 (black) to 1
    (white), all others as lines.

    Args:
        path: the file to write.
        inputs: samples, shape (N, *feature_shape).
        reconstructions: of the same shape.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    inputs, reconstructions = np.asarray(inputs)[:COLUMNS], np.asarray(reconstructions)[:COLUMNS]
    figure = _figure(1.1 * len(inputs), 2.7)
    axes = figure.subplots(2, len(inputs), squeeze=False)
    for column, pair in enumerate(zip(inputs, reconstructions, strict=True)):
        for axis, sample, colour in zip(
            axes[:, column], pair, (INPUT, RECONSTRUCTION), strict=True
        ):
            _draw(axis, sample, colour)
    for axis, title in zip(axes[:, 0], ("test input", "reconstruction"), strict=True):
        axis.set_title(title, loc="left", fontsize=9)
    figure.savefig(path, dpi=150)


def save_losses(
    path: str | os.PathLike,
    name: str,
    train_losses: Sequence[float],
    test_losses: Sequence[float] | None = None,
) -> None:
    """Write a PNG of the loss after each epoch.

    Args:
        path: the file to write.
        name: what the vertical axis is called.
        train_losses: one an epoch.
        test_losses: one an epoch, or None.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    figure = _figure(6.0, 3.6)
    from matplotlib.ticker import MaxNLocator

    axis = figure.subplots()
    curves = {"train": (train_losses, INPUT), "test": (test_losses, RECONSTRUCTION)}
    for label, (losses, colour) in curves.items():
        if losses is not None:
            marker = "o" if len(losses) <= 20 else None
            epochs = range(1, len(losses) + 1)
            axis.plot(epochs, losses, label=label, color=colour, marker=marker, markersize=3)
    axis.set(xlabel="epoch", ylabel=name)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    figure.savefig(path, dpi=150)


def require_matplotlib() -> None:
    """Raise a ModuleNotFoundError that says what to install, if pictures cannot be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "pictures need matplotlib: pip install 'jaxae[cli]'", name="matplotlib"
        ) from error


def _figure(width: float, height: float) -> "Figure":
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw(axis: "Axes", sample: np.ndarray, colour: str) -> None:
    image: Any = sample.squeeze(-1) if sample.ndim == 3 and sample.shape[-1] == 1 else sample
    if image.ndim == 2 or (image.ndim == 3 and image.shape[-1] == 3):
        axis.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1)
    else:
        marker = "." if sample.size <= FEW else None
        axis.plot(sample.ravel(), color=colour, linewidth=0.8, marker=marker)
        axis.set_ylim(-0.05, 1.05)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
