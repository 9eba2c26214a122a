"""Running one command with a deadline, and leaving no process of it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

__all__ = ["Ended", "run"]

_GRACE_SECONDS = 5


@dataclass(frozen=True)
class Ended:
    """How a command ended; `status` is None where it was stopped at its deadline."""

    status: int | None
    output: str
    errors: str
    seconds: float


def run(command: Sequence[str], environment: Mapping[str, str], timeout: float) -> Ended:
    """Run `command` in a session of its own; at the deadline its whole tree is ended."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout)
        return Ended(process.returncode, output, errors, time.perf_counter() - started)
    except subprocess.TimeoutExpired:
        _end(process)
        output, errors = process.communicate()
        return Ended(None, output, errors, time.perf_counter() - started)
    except BaseException:
        _end(process)
        raise


def _end(process: subprocess.Popen[str]) -> None:
    """Ask, then insist: of the tree as it is now, wherever its members have put themselves."""
    try:
        parent = psutil.Process(process.pid)
        tree = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for member in reversed(tree):
        with suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(tree, timeout=_GRACE_SECONDS)
    for member in alive:
        with suppress(psutil.NoSuchProcess):
            member.kill()
