"""What a command prints when it has done its work."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typer import echo

from jaxae.runs import RunDirectory


def print_metrics(metrics: Mapping[str, float]) -> None:
    """One metric a line."""
    for name, value in metrics.items():
        echo(f"{name:<22} {value:.6g}")


def print_summary(summary: Mapping[str, Any], out: Path) -> None:
    """A run's last numbers, and where its files and pictures are; or how to go on with it."""
    if "train_loss" not in summary:
        echo(f"{summary['stopped']} after {summary['epochs']} epochs; to go on:")
        echo(f"jaxae train --resume {shlex.quote(str(out))}")
        return
    metrics = {name: value for name, value in summary.items() if name.startswith("test_")}
    metrics = {name: value for name, value in metrics.items() if isinstance(value, float)}
    print_metrics({"train_loss": summary["train_loss"], **metrics, "pca_mse": summary["pca_mse"]})
    run = RunDirectory(out)
    echo(f"{summary['samples_per_second']:,} samples/s, {summary['wall_seconds']:.1f} s in all")
    echo(f"run       {run.path}")
    echo(f"pictures  {run.reconstructions}  {run.losses}")
