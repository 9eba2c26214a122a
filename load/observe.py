"""Watches the service from a process of its own while Locust loads it.

One thread, no gevent: a latency measured among Locust's greenlets would contain the time that
they wait for one another. It asks /health at a steady pace, waits for the answer and does nothing
else meanwhile; readings of memory come in between. How late its own clock wakes it is written
down as well, so that a machine too busy to measure is not mistaken for a slow service.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import psutil

from leak_suite.probes import ProcessTree
from load.spool import spool_files

__all__ = ["Observed", "main", "read"]

_PACE_SECONDS = 0.05
_MEMORY_EVERY = 6
_REMOTE_MEMORY_EVERY = 20
_TIMEOUT_SECONDS = 5.0


@dataclass
class Observed:
    """Everything that the watch wrote down."""

    health_ms: list[float] = field(default_factory=list)
    health_errors: list[str] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    #: (steady seconds, readings by metric)
    memory: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    #: How many processes of the machine wanted a processor, for each of its processors.
    crowd: list[float] = field(default_factory=list)

    def undisturbed(self, punctual_ms: float) -> list[float]:
        """Answers to /health before and after which the watch itself woke in time."""
        return [
            took
            for took, late, next_late in zip(
                self.health_ms, self.late_ms, self.late_ms[1:], strict=False
            )
            if max(late, next_late) <= punctual_ms
        ]


def read(path: Path) -> Observed:
    """What the watch wrote; a last line that was cut off is left out."""
    observed = Observed()
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(ValueError):
            entry = json.loads(line)
            if "memory" in entry:
                observed.memory.append((entry["at"], entry["memory"]))
                observed.crowd.append(entry.get("crowd", 0.0))
            elif "error" in entry:
                observed.health_errors.append(entry["error"])
            else:
                observed.health_ms.append(entry["health_ms"])
                observed.late_ms.append(entry["late_ms"])
    return observed


class _Asker:
    """One connection that is kept, as a load balancer's health check would."""

    def __init__(self, host: str) -> None:
        parts = urlsplit(host)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
        self._prefix = parts.path.rstrip("/")

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            self._connection.request("GET", self._prefix + path)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise


def _health(asker: _Asker, late: float) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        status, _ = asker.get("/health")
    except http.client.RemoteDisconnected:
        # The server closed an idle connection just as it was used again; that is no failure.
        return _retried(asker, late)
    except (OSError, http.client.HTTPException) as error:
        return {"error": f"/health: {error!r}"}
    return _answered(status, began, late)


def _retried(asker: _Asker, late: float) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        status, _ = asker.get("/health")
    except (OSError, http.client.HTTPException) as error:
        return {"error": f"/health: {error!r}"}
    return _answered(status, began, late)


def _answered(status: int, began: float, late: float) -> dict[str, Any]:
    if status != 200:
        return {"error": f"/health answered {status}"}
    return {
        "health_ms": round(1000 * (time.perf_counter() - began), 3),
        "late_ms": round(1000 * late, 3),
    }


def _local_memory(tree: ProcessTree, spool: Path | None, clients: int) -> dict[str, float]:
    """The tree's readings; descriptors without those that its clients have open with it."""
    readings = {name: value for name, value in tree.read().items() if value is not None}
    if "fds" in readings:
        readings["fds"] -= clients
    if spool is not None:
        readings["temp_files"] = float(len(spool_files(spool)))
    return readings


def _clients(pid: int, port: int | None) -> int:
    """Connections to the service: they are held, and given up, as its clients like."""
    connections = psutil.Process(pid).net_connections("tcp")
    established = [c for c in connections if c.status == psutil.CONN_ESTABLISHED]
    return sum(bool(c.laddr) and c.laddr.port == port for c in established)


def _crowd() -> float:
    """Processes that want a processor now, for each there is; 0 where the system does not tell."""
    try:
        running = Path("/proc/loadavg").read_text(encoding="ascii").split()[3].split("/")[0]
    except OSError:
        return 0.0
    return int(running) / (os.cpu_count() or 1)


def _remote_memory(asker: _Asker) -> dict[str, float]:
    """The numbers that /health/memory gives in bytes; none where there is no such route."""
    try:
        status, body = asker.get("/health/memory")
        found = json.loads(body).get("memory", {}) if status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return {}
    wanted = ("tree_bytes", "rss_bytes", "resting_bytes")
    return {f"counter:memory.{name}": float(found[name]) for name in wanted if name in found}


def _paces() -> Iterator[float]:
    """Wakes at a steady pace; gives how late. A pace that was missed is not made up for."""
    due = time.monotonic() + _PACE_SECONDS
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        yield now - due
        due = max(due + _PACE_SECONDS, time.monotonic())


def watch(host: str, pid: int, spool: str, out: TextIO) -> None:
    """Write what is seen, one line a look, until the process is told to end."""
    asker = _Asker(host)
    tree = ProcessTree(pid) if pid else None
    every = _MEMORY_EVERY if tree else _REMOTE_MEMORY_EVERY
    parent = os.getppid()
    for turn, late in enumerate(_paces()):
        if os.getppid() != parent:
            return  # Locust was killed
        _write(out, _health(asker, late))
        if turn % every == 0:
            at = time.monotonic()
            folder = Path(spool) if spool else None
            if tree:
                readings = _local_memory(tree, folder, _clients(pid, urlsplit(host).port))
            else:
                readings = _remote_memory(asker)
            _write(out, {"at": at, "memory": readings, "crowd": _crowd()})


def _write(out: TextIO, entry: dict[str, Any]) -> None:
    out.write(json.dumps(entry) + "\n")


def main() -> int:
    """`python -m load.observe`: started by the locustfile."""
    parser = argparse.ArgumentParser(prog="python -m load.observe", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--pid", type=int, default=0)
    parser.add_argument("--spool", default="")
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with options.out.open("w", encoding="utf-8", buffering=1) as out:
        try:
            watch(options.host, options.pid, options.spool, out)
        except psutil.NoSuchProcess:
            _write(out, {"error": f"process {options.pid} is gone"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
