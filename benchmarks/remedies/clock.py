"""Leaks by the clock: a thread keeps 2 KiB every 2 ms, however often the job is called."""

from __future__ import annotations

import threading
import time

_kept: list[bytes] = []


def _collect() -> None:
    while True:
        _kept.append(bytes(2048))
        time.sleep(0.002)


threading.Thread(target=_collect, daemon=True).start()


def job() -> None:
    """Wait for a moment, and keep nothing."""
    time.sleep(0.001)
