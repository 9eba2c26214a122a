"""How much memory a job took at most, without touching the counters that others read."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PeakMemory"]


class PeakMemory:
    """The highest resident memory of this process between creation and `bytes()`.

    The kernel keeps a high-water mark for the whole life of a process. Where a job raised it,
    it is the exact answer; in a process that was once bigger the samples are.
    """

    def __init__(self) -> None:
        self._mark = _high_water()
        self._highest = 0
        self.sample()

    def sample(self) -> None:
        """Take a reading; it costs some microseconds."""
        self._highest = max(self._highest, _resident())

    def bytes(self) -> int:
        """The answer, up to now."""
        self.sample()
        mark = _high_water()
        return mark if mark > self._mark else self._highest


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return _high_water()
    return pages * os.sysconf("SC_PAGE_SIZE")


def _high_water() -> int:
    # Not getrusage: what it calls the maximum goes back to before this program was started.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return _maximum_by_getrusage()
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(line.split()[1]) * 1024 if line else _maximum_by_getrusage()


def _maximum_by_getrusage() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
