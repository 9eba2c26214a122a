"""What a subject is made from: plain data that can be started again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "AppSpec",
    "CallableSpec",
    "CommandSpec",
    "InProcessSpec",
    "PidSpec",
    "Spec",
    "Trace",
    "UrlSpec",
]


@dataclass(frozen=True)
class Trace:
    """Have allocations of the subject recorded: `kind` is "memray" or "tracemalloc"."""

    kind: str
    output: Path
    native: bool = False


@dataclass(frozen=True)
class CallableSpec:
    """A callable in a fresh interpreter. `target` is module:name or path/file.py:name."""

    target: str
    python: Path | None = None

    def __str__(self) -> str:
        return self.target


@dataclass(frozen=True)
class AppSpec:
    """An ASGI application under uvicorn, driven by a workload that takes an HTTP client."""

    app: str
    workload: str
    python: Path | None = None

    def __str__(self) -> str:
        return f"{self.app} under {self.workload}"


@dataclass(frozen=True)
class CommandSpec:
    """Any server command, seen from outside. `{port}` in it becomes a free port."""

    argv: tuple[str, ...]
    workload: str

    def __str__(self) -> str:
        return f"{' '.join(self.argv)} under {self.workload}"


@dataclass(frozen=True)
class PidSpec:
    """A process that already runs, seen from outside; without a workload it is only watched."""

    pid: int
    workload: str | None = None
    base_url: str | None = None

    def __str__(self) -> str:
        return f"pid {self.pid}" + (f" under {self.workload}" if self.workload else "")


@dataclass(frozen=True)
class UrlSpec:
    """A service somewhere, seen through numbers of its health endpoint.

    `json_path` names one as in "memory.rss_bytes" or "jobs.0.size"; several are divided by commas.
    """

    url: str
    json_path: str
    workload: str | None = None

    def __str__(self) -> str:
        return f"{self.url} ({self.json_path})"


@dataclass(frozen=True)
class InProcessSpec:
    """A callable in this very process."""

    function: Callable[[], Any]
    name: str

    def __str__(self) -> str:
        return self.name


Spec = CallableSpec | AppSpec | CommandSpec | PidSpec | UrlSpec | InProcessSpec
