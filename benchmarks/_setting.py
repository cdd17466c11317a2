"""The setting: hardware, versions and commit, without which a measurement says little."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

import jaxae

ROOT = Path(__file__).parents[1]
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "keras", "torch")


def setting() -> dict[str, Any]:
    """Hardware, versions, commit and date, as JSON."""
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "devices": [device.device_kind for device in jax.devices()],
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {"jaxae": jaxae.__version__} | {name: _version(name) for name in PACKAGES},
        "commit": _git("rev-parse", "HEAD"),
        "jaxae_modified": bool(_git("status", "--porcelain", "--", "jaxae")),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def summary(setting: dict[str, Any]) -> str:
    """One line: the hardware and the versions."""
    packages = ", ".join(f"{name} {version}" for name, version in setting["packages"].items())
    return (
        f"{setting['cpu']}, {setting['cores']} cores, {setting['memory_gib']} GiB; "
        f"Python {setting['python']}, {packages}"
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        command = ["git", *arguments]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
