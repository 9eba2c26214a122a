"""For an application's worker processes: record them under memray while a flamegraph is made.

Call `track` first thing in each worker, as `ProcessPoolExecutor(initializer=track)` does. Where no
flamegraph is being made it does nothing. memray's own `--follow-fork` does not reach workers that a
fork server starts.
"""

from __future__ import annotations

import atexit
import os
from multiprocessing import util
from pathlib import Path

__all__ = ["VARIABLE", "track"]

VARIABLE = "LEAK_SUITE_MEMRAY_DIR"
NATIVE = "native"
_STOP_FIRST = 100


def track() -> None:
    """Record this process from here to its end, if the variable names a folder to write to.

    A second call in the same process does nothing, nor does one in a thread of a process that is
    recorded already.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    import memray

    place = Path(folder)
    output = place / f"worker-{os.getpid()}.bin"
    if output.exists():
        return
    tracker = memray.Tracker(
        output,
        native_traces=(place / NATIVE).exists(),
        trace_python_allocators=True,
        # What a killed process has written of this form can still be read.
        file_format=memray.FileFormat.ALL_ALLOCATIONS,
    )
    try:
        tracker.__enter__()
    except RuntimeError:  # one Tracker to a process
        output.unlink(missing_ok=True)
        return

    def stop() -> None:
        if not stopped:
            stopped.append(True)
            tracker.__exit__(None, None, None)

    stopped: list[bool] = []
    # A worker of multiprocessing leaves without atexit, a plain subprocess without finalizers.
    util.Finalize(None, stop, exitpriority=_STOP_FIRST)
    atexit.register(stop)
