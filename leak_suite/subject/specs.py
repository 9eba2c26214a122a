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
    "UrlSpec",
]

_REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class CallableSpec:
    """A callable in a fresh interpreter. `target` is module:name or path/file.py:name."""

    target: str
    python: Path | None = None

    def __str__(self) -> str:
        return self.target

    def command(self) -> list[str]:
        """The words of `leak-suite` that name this subject."""
        return [self.target, *_python(self.python)]


@dataclass(frozen=True)
class AppSpec:
    """An ASGI application under uvicorn, driven by a workload that takes an HTTP client.

    `request_seconds` is how long a request of the workload may take.
    """

    app: str
    workload: str
    python: Path | None = None
    request_seconds: float = _REQUEST_SECONDS

    def __str__(self) -> str:
        return f"{self.app} under {self.workload}"

    def command(self) -> list[str]:
        """The words of `leak-suite` that name this subject."""
        words = ["--app", self.app, "--workload", self.workload]
        return [*words, *_timeout(self.request_seconds), *_python(self.python)]


@dataclass(frozen=True)
class CommandSpec:
    """Any command, with the agent in each of its Python processes.

    `{port}` in `argv` becomes a free port. Without a `workload` time is the iteration; one that
    takes no argument needs no port. The command is ready when `ready_when` stands in its output;
    without it, when it listens, or when the workload first succeeds. `environment` goes on top of
    this process's own; `folder` is its working directory.
    """

    argv: tuple[str, ...]
    workload: str | None = None
    ready_when: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    folder: Path | None = None
    request_seconds: float = _REQUEST_SECONDS

    def __str__(self) -> str:
        return " ".join(self.argv) + (f" under {self.workload}" if self.workload else "")

    def command(self) -> list[str]:
        """The words of `leak-suite` that name this subject."""
        words = ["--workload", self.workload] if self.workload else []
        words += ["--ready-when", self.ready_when] if self.ready_when else []
        words += [word for name, value in self.environment for word in ("--env", f"{name}={value}")]
        words += ["--cwd", str(self.folder)] if self.folder else []
        return [*words, *_timeout(self.request_seconds), "--", *self.argv]


@dataclass(frozen=True)
class PidSpec:
    """A process that already runs; without a workload it is only watched."""

    pid: int
    workload: str | None = None
    base_url: str | None = None
    request_seconds: float = _REQUEST_SECONDS

    def __str__(self) -> str:
        return f"pid {self.pid}" + (f" under {self.workload}" if self.workload else "")

    def command(self) -> list[str]:
        """The words of `leak-suite` that name this subject."""
        return ["--pid", str(self.pid), *(["--workload", self.workload] if self.workload else [])]


@dataclass(frozen=True)
class UrlSpec:
    """A service somewhere, seen through numbers of its health endpoint.

    `json_path` names one as in "memory.rss_bytes" or "jobs.0.size"; several are divided by commas.
    """

    url: str
    json_path: str
    workload: str | None = None
    request_seconds: float = _REQUEST_SECONDS

    def __str__(self) -> str:
        return f"{self.url} ({self.json_path})"

    def command(self) -> list[str]:
        """The words of `leak-suite` that name this subject."""
        words = ["--url", self.url, "--metric", self.json_path]
        return [*words, *(["--workload", self.workload] if self.workload else [])]


@dataclass(frozen=True)
class InProcessSpec:
    """A callable in this very process."""

    function: Callable[[], Any]
    name: str

    def __str__(self) -> str:
        return self.name

    def command(self) -> list[str]:
        """No command line can name it."""
        return []


Spec = CallableSpec | AppSpec | CommandSpec | PidSpec | UrlSpec | InProcessSpec


def _python(python: Path | None) -> list[str]:
    return [] if python is None else ["--python", str(python)]


def _timeout(seconds: float) -> list[str]:
    return [] if seconds == _REQUEST_SECONDS else ["--request-timeout", f"{seconds:g}"]
