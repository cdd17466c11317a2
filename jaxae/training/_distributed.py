"""Several processes that train one model: how they join, what they agree on, and which writes."""

import os

import jax
import numpy as np

from jaxae.training._rendezvous import meet

# How many tasks a cluster has started together, as it says in the environment of each.
TASKS = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
LONGEST_REASON = 200


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
        coordinator: HOST:PORT of process 0, which all can reach.
        processes: how many there are.
        process: which this one is, from 0.
        timeout: for how many seconds the others are waited for.

    With no arguments they are found from a cluster's environment, such as Slurm's or Open MPI's,
    where JAX itself waits and ends a process whose others do not come; in none nothing is done.

    Raises:
        TypeError: some of the arguments, but not all.
        ValueError: a process that there is not, or an address without a port.
        TimeoutError: the coordinator does not answer in time, or a process is missing.
        OSError: process 0 cannot listen at its port.

    Example:
        >>> join()  # in no cluster
        >>> is_writer()
        True
    """
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given) and not _in_a_cluster():
        return
    # Of CPUs; others have their own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    patience = max(1, round(timeout))
    if coordinator is None and processes is None and process is None:
        jax.distributed.initialize(initialization_timeout=patience)
        return
    if coordinator is None or processes is None or process is None:
        raise TypeError(
            f"{' and '.join(missing)} missing, expected coordinator, processes and process, e.g. "
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


def agreed(number: float) -> float:
    """The number that process 0 has, in all processes: of clocks each has its own."""
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    return float(multihost_utils.broadcast_one_to_all(np.float32(number)))


def agreed_reason(reason: str | None) -> str | None:
    """The first reason that any of the processes has, in all of them; None if none has one."""
    if jax.process_count() == 1:
        return reason
    from jax.experimental import multihost_utils

    text = (reason or "").encode()[:LONGEST_REASON].ljust(LONGEST_REASON, b"\0")
    texts = multihost_utils.process_allgather(np.frombuffer(text, np.uint8))
    reasons = (bytes(row).rstrip(b"\0").decode(errors="replace") for row in np.asarray(texts))
    return next(filter(None, reasons), None)


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


def _in_a_cluster() -> bool:
    """Whether a cluster has started this process as one of several."""
    return any(int(os.environ.get(name) or 1) > 1 for name in TASKS)
