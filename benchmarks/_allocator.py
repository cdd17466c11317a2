"""The allocator: memory that a process was given stays with it, for every contender alike."""

import os
import sys

# glibc gives large arrays back to the system as soon as they are free, or not, as it happens: the
# next call then pays for every page again, as much as for the arithmetic of an elementwise loss.
KEEP = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**34),
    "MALLOC_TOP_PAD_": str(2**26),
}


def settled() -> None:
    """Start the command again with such an allocator, unless it is there; it is read at the start.

    Other systems' allocators do not read these variables.
    """
    if any(os.environ.get(name) != value for name, value in KEEP.items()):
        arguments = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
        os.execve(sys.executable, arguments, os.environ | KEEP)
