"""The load: how much of the machine other processes take while something is measured."""

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
IDLE, IOWAIT, LAST = 3, 4, 8  # columns; those after steal are counted in user and nice already

QUIET = 0.05  # of the machine, for other processes
GLANCE = 0.5  # seconds


class Load:
    """A meter of other processes, started when it is made."""

    def __init__(self):
        self._others, self._all = _seconds()

    def others(self) -> float:
        """The share of all cores that others have taken since, stolen time included.

        Where the system does not say, as outside Linux, 0.
        """
        others, whole = _seconds()
        return max(0.0, (others - self._others) / max(whole - self._all, 1e-9))


def wait_for_quiet(patience: float) -> float:
    """Wait until other processes are quiet, or for so many seconds; how long it took."""
    start = time.perf_counter()
    while time.perf_counter() - start < patience:
        load = Load()
        time.sleep(GLANCE)
        if load.others() <= QUIET:
            break
    return time.perf_counter() - start


def _seconds() -> tuple[float, float]:
    """Processor seconds: of others than this process and its ended children; and of all cores."""
    if not STAT.exists():
        return 0.0, 0.0
    first_line = STAT.read_text(encoding="utf-8").partition("\n")[0]
    columns = [int(column) / os.sysconf("SC_CLK_TCK") for column in first_line.split()[1:]][:LAST]
    busy = sum(columns) - columns[IDLE] - columns[IOWAIT]
    return busy - sum(os.times()[:4]), sum(columns)
