"""Running one command within limits of time and memory, and leaving no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Ended", "run"]

_GRACE_SECONDS = 5
_LOOK_SECONDS = 0.25
# A gate that never stops early would take the machine with it: 2 MiB a call, 20,000 calls.
_MAX_TREE_BYTES = 4 << 30
_MAX_TREE_PROCESSES = 3000


@dataclass(frozen=True)
class Ended:
    """How a command ended; `status` is None where it was stopped, and `stopped` says by what."""

    status: int | None
    output: str
    errors: str
    seconds: float
    stopped: str = ""


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    timeout: float,
    cancelled: Callable[[], bool] = lambda: False,
    cwd: Path | None = None,
) -> Ended:
    """Run `command` in a session of its own; beyond a limit its whole tree is ended.

    So it is once `cancelled` says yes, which is looked at every now and then.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        while True:
            try:
                output, errors = process.communicate(timeout=_LOOK_SECONDS)
                return Ended(process.returncode, output, errors, time.perf_counter() - started)
            except subprocess.TimeoutExpired:
                seconds = time.perf_counter() - started
                stopped = "cancelled" if cancelled() else _beyond(process.pid, seconds, timeout)
            if stopped:
                _end(process)
                output, errors = process.communicate()
                return Ended(None, output, errors, time.perf_counter() - started, stopped)
    except BaseException:
        _end(process)
        raise


def _beyond(pid: int, seconds: float, timeout: float) -> str:
    """Which limit is passed, in words; empty where none is."""
    if seconds > timeout:
        return f"stopped at the deadline of {timeout:g} s"
    tree = _tree(pid)
    if len(tree) > _MAX_TREE_PROCESSES:
        return f"stopped with {len(tree)} processes"
    total = 0
    for member in tree:
        with suppress(psutil.Error):
            total += member.memory_info().rss
    return f"stopped at {total >> 20} MiB" if total > _MAX_TREE_BYTES else ""


def _tree(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []


def _end(process: subprocess.Popen[str]) -> None:
    """Ask, then insist: of the tree as it is now, wherever its members have put themselves."""
    tree = _tree(process.pid)
    for member in reversed(tree):
        with suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(tree, timeout=_GRACE_SECONDS)
    for member in alive:
        with suppress(psutil.NoSuchProcess):
            member.kill()
