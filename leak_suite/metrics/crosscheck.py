"""Outside probes cannot be shown an amount in the subject; a child process stands in for it."""

from __future__ import annotations

import subprocess
import sys

from leak_suite.metrics.process_tree import ProcessTree
from leak_suite.metrics.table import METRICS

__all__ = ["cross_check"]

_CHILD = """
import os, sys, _thread
lock = _thread.allocate_lock()
lock.acquire()
print("before", flush=True)
sys.stdin.readline()
held = bytearray(8 << 20), [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
for _ in range(2):
    _thread.start_new_thread(lock.acquire, ())
print("after", flush=True)
sys.stdin.readline()
"""


def cross_check() -> dict[str, tuple[float, float | None, str | None]]:
    """{metric: (shown, seen, None or why it is blind)}, from a child that takes known amounts."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        try:
            tree = ProcessTree(child.pid)
            child.stdout.readline()
            before = tree.read()
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()
            after = tree.read()
        finally:
            child.kill()
    return {
        name: (shown, *_seen(shown, before[name], after[name]))
        for name, metric in METRICS.items()
        if (shown := metric.outside_check) is not None
    }


def _seen(
    shown: float, before: float | None, after: float | None
) -> tuple[float | None, str | None]:
    if before is None or after is None:
        return None, "it cannot be read here"
    seen = after - before
    return seen, None if seen >= 0.9 * shown else f"{shown:.0f} were added and {seen:.0f} seen"
