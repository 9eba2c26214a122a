"""Measure the service from a process of its own while Locust loads it.

One thread, no gevent: a latency measured among Locust's greenlets would contain the time that
they wait for one another. It requests /health at a steady pace, waits for the answer and does
nothing else meanwhile; memory is read in between. How late it was woken is recorded as well, so
that a machine too busy to measure is not mistaken for a slow service.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import psutil

from leak_suite.metrics.process_tree import ProcessTree

__all__ = ["Observations", "main", "read", "spool_files"]

_PACE_SECONDS = 0.05
_MEMORY_EVERY = 6
_REMOTE_MEMORY_EVERY = 20
_TIMEOUT_SECONDS = 5.0
_RECORD_OF_JOBS = "jobs.sqlite3"
"""The database of the embedded service, and the start of the names of its other files."""


@dataclass
class Observations:
    """Everything that the observer recorded.

    `health_ms`: latencies of /health; `late_ms`: how late the observer woke for each of them.
    """

    health_ms: list[float] = field(default_factory=list)
    health_errors: list[str] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    #: (seconds of the monotonic clock, readings by metric)
    memory: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    #: How many processes of the machine wanted a processor, for each of its processors.
    run_queue_per_cpu: list[float] = field(default_factory=list)

    def undisturbed(self, punctual_ms: float) -> list[float]:
        """Latencies before and after which the observer itself woke at most `punctual_ms` late."""
        return [
            took
            for took, late, next_late in zip(
                self.health_ms, self.late_ms, self.late_ms[1:], strict=False
            )
            if max(late, next_late) <= punctual_ms
        ]


def read(path: Path) -> Observations:
    """What the observer wrote; a last line that was cut off is left out."""
    observed = Observations()
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(ValueError):
            entry = json.loads(line)
            if "memory" in entry:
                observed.memory.append((entry["at"], entry["memory"]))
                observed.run_queue_per_cpu.append(entry.get("run_queue_per_cpu", 0.0))
            elif "error" in entry:
                observed.health_errors.append(entry["error"])
            else:
                observed.health_ms.append(entry["health_ms"])
                observed.late_ms.append(entry["late_ms"])
    return observed


class _HealthClient:
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


def _health(client: _HealthClient, late: float) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        status, _ = client.get("/health")
    except http.client.RemoteDisconnected:
        # The server closed an idle connection just as it was used again; that is no failure.
        return _retried(client, late)
    except (OSError, http.client.HTTPException) as error:
        return {"error": f"/health: {error!r}"}
    return _answered(status, began, late)


def _retried(client: _HealthClient, late: float) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        status, _ = client.get("/health")
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


def _local_memory(trees: Mapping[int, ProcessTree], spool: Path | None) -> dict[str, float]:
    """The readings of all trees; descriptors without those that clients have open with them.

    What one of them cannot read is left out: a sum without it would be another thing's.
    """
    parts = [tree.read() for tree in trees.values()]
    readings: dict[str, float] = {}
    for name in parts[0]:
        values = [value for part in parts if (value := part.get(name)) is not None]
        if len(values) == len(parts):
            readings[name] = sum(values)
    if "fds" in readings:
        readings["fds"] -= sum(map(_clients, trees))
    if spool is not None:
        readings["temp_files"] = float(len(spool_files(spool)))
    return readings


def _clients(pid: int) -> int:
    """Open connections to the ports of a process: how many there are is up to its clients."""
    connections = [c for c in psutil.Process(pid).net_connections("tcp") if c.laddr]
    ports = {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    established = [c for c in connections if c.status == psutil.CONN_ESTABLISHED]
    return sum(c.laddr.port in ports for c in established)


def _run_queue_per_cpu() -> float:
    """Runnable processes per CPU at this moment; 0 where the system does not tell."""
    try:
        running = Path("/proc/loadavg").read_text(encoding="ascii").split()[3].split("/")[0]
    except OSError:
        return 0.0
    return int(running) / (os.cpu_count() or 1)


def _remote_memory(client: _HealthClient) -> dict[str, float]:
    """The numbers that /health/memory gives in bytes; none where there is no such route."""
    try:
        status, body = client.get("/health/memory")
        found = json.loads(body).get("memory", {}) if status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return {}
    wanted = ("tree_bytes", "rss_bytes", "resting_bytes")
    return {f"counter:memory.{name}": float(found[name]) for name in wanted if name in found}


def _paces() -> Iterator[float]:
    """Wake at a steady pace; yields the seconds of delay. A missed turn is not made up for."""
    due = time.monotonic() + _PACE_SECONDS
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        yield now - due
        due = max(due + _PACE_SECONDS, time.monotonic())


def observe(host: str, pids: Sequence[int], spool: str, out: TextIO) -> None:
    """Write one line per reading until the process is to end."""
    client = _HealthClient(host)
    trees = {pid: ProcessTree(pid) for pid in pids}
    every = _MEMORY_EVERY if trees else _REMOTE_MEMORY_EVERY
    parent = os.getppid()
    for turn, late in enumerate(_paces()):
        if os.getppid() != parent:
            return  # Locust was killed
        _write(out, _health(client, late))
        if turn % every == 0:
            at = time.monotonic()
            folder = Path(spool) if spool else None
            readings = _local_memory(trees, folder) if trees else _remote_memory(client)
            _write(out, {"at": at, "memory": readings, "run_queue_per_cpu": _run_queue_per_cpu()})


def _write(out: TextIO, entry: dict[str, Any]) -> None:
    out.write(json.dumps(entry) + "\n")


def spool_files(spool: str | Path) -> list[str]:
    """The files of jobs in the spool folder, by name; empty and deleted ones are left out.

    The service's record of jobs lies there too for as long as it runs, and is not a job's.
    """
    found = []
    for folder, _, names in os.walk(spool):
        for name in names:
            path = Path(folder, name)
            if name.startswith(_RECORD_OF_JOBS):
                continue
            with suppress(FileNotFoundError):
                if path.stat().st_size > 0:
                    found.append(str(path.relative_to(spool)))
    return sorted(found)


def main() -> int:
    """`python -m load.observer`: started by the locustfile."""
    parser = argparse.ArgumentParser(prog="python -m load.observer", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--pid", type=int, action="append", default=[])
    parser.add_argument("--spool", default="")
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with options.out.open("w", encoding="utf-8", buffering=1) as out:
        try:
            observe(options.host, options.pid, options.spool, out)
        except psutil.NoSuchProcess:
            _write(out, {"error": f"a process of {options.pid} is gone"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
