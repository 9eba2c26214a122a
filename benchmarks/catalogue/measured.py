"""Run a command, and tell the CPU of all that it started and what of it is left at the end.

Run by path: `measured.py FILE COMMAND ...`. It adopts the processes whose parent ends before them
(Linux), so that their seconds count too, and nothing stays behind. FILE is JSON with `cpu_seconds`
and `left`, the command lines of what still ran two seconds after the command's end.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

__all__: list[str] = []

_PR_SET_CHILD_SUBREAPER = 36
_GRACE_SECONDS = 2.0


def main() -> int:
    """The status of the command."""
    file, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    status = subprocess.call(command)
    deadline = time.monotonic() + _GRACE_SECONDS
    while _children_remain() and time.monotonic() < deadline:
        time.sleep(0.02)
    left = _end_what_is_left()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = usage.ru_utime + usage.ru_stime
    Path(file).write_text(json.dumps({"cpu_seconds": seconds, "left": left}), encoding="utf-8")
    return status


def _children_remain() -> bool:
    """Reap what has ended; whether anything has not."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _end_what_is_left() -> list[str]:
    import psutil

    left = psutil.Process().children(recursive=True)
    names = []
    for process in left:
        with suppress(psutil.Error):
            names.append(" ".join(process.cmdline())[:200])
            process.kill()
    while _children_remain():
        time.sleep(0.02)
    return names


if __name__ == "__main__":
    sys.exit(main())
