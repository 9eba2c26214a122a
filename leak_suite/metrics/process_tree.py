"""Reading a process and everything under it from outside, by psutil."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from leak_suite.metrics.table import QuickSample

__all__ = ["ProcessTree"]

Value = float | None


class ProcessTree:
    """The process `pid` and its descendants. Values are None where the system does not tell."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._known = [self._root]

    @property
    def alive(self) -> bool:
        """Whether the root still runs."""
        return bool(self._root.is_running()) and self._root.status() != psutil.STATUS_ZOMBIE

    def processes(self) -> list[psutil.Process]:
        """Root first; none once it is gone."""
        try:
            self._known = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            self._known = []
        # Before version 6, psutil says of a process that is gone that it has no children.
        if not self._root.is_running():
            self._known = []
        return self._known

    def read(self) -> dict[str, Value]:
        """Every metric that can be read from outside, summed over the tree."""
        tree = self.processes()
        return {
            "rss": _total(tree, lambda process: process.memory_info().rss),
            "rss_anon": _total(tree, _anonymous),
            "pss": _total(tree, _proportional),
            "fds": _total(tree, lambda process: process.num_fds()),
            "threads": _total(tree, lambda process: process.num_threads()),
            "children": float(len(tree) - 1) if tree else None,
        }

    def quick_sample(self) -> QuickSample:
        """The few readings that are cheap, for the growth guard; temporary files are not seen.

        Of the processes that the last full reading found, since finding them is what costs.
        """
        tree = self._known
        rss = _total(tree, lambda process: process.memory_info().rss)
        fds = _total(tree, lambda process: process.num_fds())
        threads = _total(tree, lambda process: process.num_threads())
        children = max(0, len(tree) - 1)
        return QuickSample(int(rss or 0), int(fds or 0), int(threads or 0), children, 0)

    def listening_port(self) -> int | None:
        """The TCP port that a process of the tree listens on, if one does."""
        for process in self.processes():
            try:
                connections = _connections(process)
            except (psutil.Error, OSError):
                continue
            for connection in connections:
                if connection.status == psutil.CONN_LISTEN:
                    return int(connection.laddr.port)
        return None


def _connections(process: psutil.Process) -> list[Any]:
    """Its TCP connections, by the name that this call had before psutil 6 too."""
    read = getattr(process, "net_connections", None) or process.connections
    return list(read(kind="tcp"))


def _total(tree: list[psutil.Process], one: Callable[[psutil.Process], float | None]) -> Value:
    """The sum over the tree; ended processes count nothing, an unreadable one makes it unknown."""
    total = 0.0
    for process in tree:
        try:
            value = one(process)
        except psutil.NoSuchProcess:  # also a zombie
            continue
        except (psutil.AccessDenied, AttributeError, NotImplementedError, OSError):
            return None
        if value is None:
            return None
        total += value
    return total if tree else None


def _anonymous(process: psutil.Process) -> float | None:
    return proc_bytes(_proc_text(process.pid, "status"), "RssAnon")


def _proportional(process: psutil.Process) -> float | None:
    return proc_bytes(_proc_text(process.pid, "smaps_rollup"), "Pss")


def private_dirty(pid: int) -> float | None:
    """Bytes that the process has written to and shares with no other; None where it is unknown."""
    try:
        return proc_bytes(_proc_text(pid, "smaps_rollup"), "Private_Dirty")
    except (psutil.Error, OSError):
        return None


def _proc_text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        if Path(f"/proc/{pid}").exists():
            return ""
        raise psutil.NoSuchProcess(pid) from None


def proc_bytes(text: str, key: str) -> float | None:
    """Bytes of the line "KEY:   123 kB"; None where there is no such line."""
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        if colon and name == key:
            return float(rest.split()[0]) * 1024
    return None
