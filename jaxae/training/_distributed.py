"""Several processes that train one model: how they join, what they agree on, and which writes."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from jaxae.training._rendezvous import meet

# How many tasks a cluster has started together, as it says in the environment of each.
TASKS = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
LONGEST_REASON = 1000
# How a cluster is asked for that only JAX itself finds.
AUTO = "auto"

T = TypeVar("T")
Number = TypeVar("Number", int, float)


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    timeout: float = 60.0,
) -> None:
    """Make this process one of several that train one model, each on its own devices.

    Call it first, before anything is computed; `fit` then uses the devices of all processes, and
    every process calls it with the same arguments. Only process 0 shows progress and logs.

    Args:
        coordinator: HOST:PORT of process 0, which all can reach; or "auto" for JAX to find it
            and the others, e.g. in a TPU pod or in Kubernetes.
        processes: how many there are.
        process: which this one is, from 0.
        timeout: for how many seconds the others are waited for.

    With no arguments they are found where Slurm or Open MPI has started several; elsewhere nothing
    is done, since JAX finds other clusters by asking, also where this process is alone. Where JAX
    has found them it waits itself, and ends a process whose others do not come.

    Raises:
        TypeError: some of the arguments, but not all.
        ValueError: a process that there is not, an address without a port, or no cluster where JAX
            is to find one.
        TimeoutError: the coordinator does not answer in time, or a process is missing.
        OSError: process 0 cannot listen at its port.

    Example:
        >>> join()  # in no cluster
        >>> is_writer()
        True
    """
    given = coordinator, processes, process
    nothing = given == (None, None, None)
    if nothing and not _in_a_cluster():
        return
    # Of CPUs; others have their own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    patience = max(1, round(timeout))
    if nothing or given == (AUTO, None, None):
        _join_found(patience)
        return
    if coordinator is None or processes is None or process is None:
        names = zip(("coordinator", "processes", "process"), given, strict=True)
        missing = " and ".join(name for name, value in names if value is None)
        raise TypeError(
            f"{missing} missing, expected coordinator, processes and process, e.g. "
            "join('10.0.0.1:1234', 2, 0), or none of them in a cluster"
        )
    if not 0 <= process < processes:
        raise ValueError(f"process is {process} of {processes}, expected 0 to {processes - 1}")
    meet(coordinator, processes, process, timeout)
    jax.distributed.initialize(
        coordinator,
        processes,
        process,
        initialization_timeout=patience,
        cluster_detection_method="deactivate",
    )


def is_writer() -> bool:
    """Whether this process is the one that writes logs and files and shows progress.

    Example:
        >>> is_writer()
        True
    """
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Return when all processes have come to the place of this name."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def agreed(number: Number) -> Number:
    """The number that process 0 has, in all processes: of clocks each has its own."""
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    kind = np.int32 if isinstance(number, int) else np.float32
    return type(number)(multihost_utils.broadcast_one_to_all(kind(number)))


def agreed_reason(reason: str | None) -> str | None:
    """The first reason that any of the processes has, in all of them; None if none has one."""
    if jax.process_count() == 1:
        return reason
    from jax.experimental import multihost_utils

    text = (reason or "").encode()[:LONGEST_REASON].ljust(LONGEST_REASON, b"\0")
    texts = multihost_utils.process_allgather(np.frombuffer(text, np.uint8))
    reasons = (bytes(row).rstrip(b"\0").decode(errors="replace") for row in np.asarray(texts))
    return next(filter(None, reasons), None)


def together(action: Callable[..., T], *arguments: Any) -> T:
    """What an action returns, which all processes do; where it fails in one, it fails in all.

    Raises:
        Exception: what the action raised in this process.
        ValueError: that it failed in another one, and why.

    Example:
        >>> together(max, 1, 2)
        2
    """
    results: list[T] = []
    fault: Exception | None = None
    try:
        results.append(action(*arguments))
    except Exception as error:
        fault = error
    reason = agreed_reason(fault and (str(fault) or type(fault).__name__))
    if reason is not None:
        raise fault or ValueError(f"another process failed: {reason}")
    return results[0]


def in_any(flag: bool) -> bool:
    """Whether it is so in any of the processes.

    Example:
        >>> in_any(True)
        True
    """
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.asarray(multihost_utils.process_allgather(np.asarray(flag))).any())


def _join_found(patience: int) -> None:
    """Join the processes of a cluster that JAX finds."""
    try:
        jax.distributed.initialize(initialization_timeout=patience)
    except ValueError as error:
        raise ValueError(
            f"JAX finds no cluster ({error}); expected coordinator, processes and process, e.g. "
            "join('10.0.0.1:1234', 2, 0)"
        ) from error


def _in_a_cluster() -> bool:
    """Whether a cluster has started this process as one of several."""
    return any(int(os.environ.get(name) or 1) > 1 for name in TASKS)
