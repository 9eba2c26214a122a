"""What a subject is made from: plain data that can be started again and again."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from leak_suite.subject.base import Subject
    from leak_suite.subject.trace_data import TracePlan

__all__ = [
    "AppSpec",
    "CallableSpec",
    "CommandSpec",
    "Extras",
    "InProcessSpec",
    "PidSpec",
    "Spec",
    "UrlSpec",
]

_REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class Extras:
    """What an agent does besides reading every metric.

    It counts the objects of `tracked` classes ("module:Class"), reads `counters` ({name:
    "module:callable"}), and traces from the first import on by the plan `trace`. `environment` goes
    on top of the subject's own. An `undisturbed` subject is left as it is until it is asked to
    settle: nothing is collected, trimmed or frozen in it at the start.
    """

    tracked: tuple[str, ...] = ()
    counters: Mapping[str, str] = field(default_factory=dict)
    trace: TracePlan | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    undisturbed: bool = False


NO_EXTRAS = Extras()


class Spec(ABC):
    """One kind of subject: how it is opened, traced and named. `str` of it is its name.

    `workload` drives it, by requests of at most `request_seconds`; None for one that works by
    itself.
    """

    workload: str | None = None
    request_seconds: float = _REQUEST_SECONDS

    agent_inside: ClassVar[bool] = False
    """Started anew it has an agent inside, by which it can be traced."""
    traced_from_start: ClassVar[bool] = False
    """It can be traced from its first import on."""
    may_lack_python: ClassVar[bool] = False
    """It may turn out that none of its processes runs Python, which a report then says."""
    in_this_process: ClassVar[bool] = False
    """What judging keeps in this process is read as the subject's own."""

    @abstractmethod
    def open(self, extras: Extras = NO_EXTRAS, /) -> Subject:
        """The subject; enter it to start it. `extras` are for kinds with an agent inside."""

    @abstractmethod
    def command(self) -> list[str]:
        """The words of `leak-suite` that name this subject; none where no command line can."""

    def workload_name(self) -> str:
        """Its name without what differs each time, by which runs of it are matched."""
        return str(self)

    @property
    def is_watched(self) -> bool:
        """Nothing drives it: time is the iteration."""
        return False

    def own_packages(self) -> tuple[str, ...]:
        """Top-level packages that are the subject's own even where they are installed."""
        return ()

    def service_argv(self) -> tuple[str, ...]:
        """The command that serves it, `{port}` where the port goes; empty if it is no service."""
        return ()


@dataclass(frozen=True)
class CallableSpec(Spec):
    """A callable in a fresh interpreter. `target` is module:name or path/file.py:name."""

    target: str
    python: Path | None = None

    agent_inside = traced_from_start = True

    def __str__(self) -> str:
        return self.target

    def open(self, extras: Extras = NO_EXTRAS, /) -> Subject:
        """See Spec."""
        from leak_suite.subject.inside import CallableSubject, agent_starter

        keys = {"target": self.target}
        return CallableSubject(agent_starter(keys, self.python, extras), extras)

    def command(self) -> list[str]:
        """See Spec."""
        return [self.target, *_python(self.python)]

    def own_packages(self) -> tuple[str, ...]:
        """See Spec."""
        return _package(self.target)


@dataclass(frozen=True)
class AppSpec(Spec):
    """An ASGI application under uvicorn, driven by a workload that takes an HTTP client.

    `request_seconds` is how long a request of the workload may take.
    """

    app: str
    workload: str
    python: Path | None = None
    request_seconds: float = _REQUEST_SECONDS

    agent_inside = traced_from_start = True

    def __str__(self) -> str:
        return f"{self.app} under {self.workload}"

    def open(self, extras: Extras = NO_EXTRAS, /) -> Subject:
        """See Spec."""
        from leak_suite.subject.app import AppSubject
        from leak_suite.subject.inside import agent_starter

        keys = {"app": self.app, "port": "0"}
        start = agent_starter(keys, self.python, extras)
        return AppSubject(start, extras, self.workload, self.request_seconds)

    def command(self) -> list[str]:
        """See Spec."""
        words = ["--app", self.app, "--workload", self.workload]
        return [*words, *_timeout(self.request_seconds), *_python(self.python)]

    def own_packages(self) -> tuple[str, ...]:
        """See Spec."""
        return _package(self.app)

    def service_argv(self) -> tuple[str, ...]:
        """See Spec."""
        module, _, name = self.app.rpartition(":")
        folder = "."
        if module.endswith(".py"):
            folder, module = str(Path(module).resolve().parent), Path(module).stem
        python = str(self.python or sys.executable)
        options = ("--app-dir", folder, "--host", "127.0.0.1", "--port", "{port}", "--workers", "1")
        return (python, "-m", "uvicorn", f"{module}:{name}", *options)


@dataclass(frozen=True)
class CommandSpec(Spec):
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

    agent_inside = may_lack_python = True

    def __str__(self) -> str:
        return " ".join(self.argv) + (f" under {self.workload}" if self.workload else "")

    def open(self, extras: Extras = NO_EXTRAS, /) -> Subject:
        """See Spec."""
        from leak_suite.subject.command import CommandSubject

        return CommandSubject(self, extras)

    def command(self) -> list[str]:
        """See Spec."""
        words = ["--workload", self.workload] if self.workload else []
        words += ["--ready-when", self.ready_when] if self.ready_when else []
        words += [word for name, value in self.environment for word in ("--env", f"{name}={value}")]
        words += ["--cwd", str(self.folder)] if self.folder else []
        return [*words, *_timeout(self.request_seconds), "--", *self.argv]

    @property
    def is_watched(self) -> bool:
        """See Spec."""
        return self.workload is None

    def service_argv(self) -> tuple[str, ...]:
        """See Spec."""
        return self.argv


@dataclass(frozen=True)
class PidSpec(Spec):
    """A process that already runs; without a workload it is only watched."""

    pid: int
    workload: str | None = None
    base_url: str | None = None
    request_seconds: float = _REQUEST_SECONDS

    def __str__(self) -> str:
        return f"pid {self.pid}" + (f" under {self.workload}" if self.workload else "")

    def workload_name(self) -> str:
        """See Spec."""
        return "pid" + (f" under {self.workload}" if self.workload else "")

    def open(self, extras: Extras = NO_EXTRAS, /) -> Subject:
        """See Spec."""
        from leak_suite.subject.pid import PidSubject

        return PidSubject(self, extras)

    def command(self) -> list[str]:
        """See Spec."""
        words = ["--workload", self.workload] if self.workload else []
        return ["--pid", str(self.pid), *words, *_timeout(self.request_seconds)]

    @property
    def is_watched(self) -> bool:
        """See Spec."""
        return self.workload is None


@dataclass(frozen=True)
class UrlSpec(Spec):
    """A service somewhere, seen through numbers of its health endpoint.

    `json_path` names one as in "memory.rss_bytes" or "jobs.0.size"; several are divided by commas.
    """

    url: str
    json_path: str
    workload: str | None = None
    request_seconds: float = _REQUEST_SECONDS

    def __str__(self) -> str:
        return f"{self.url} ({self.json_path})"

    def open(self, _: Extras = NO_EXTRAS, /) -> Subject:
        """See Spec."""
        from leak_suite.subject.url import UrlSubject

        return UrlSubject(self)

    def command(self) -> list[str]:
        """See Spec."""
        words = ["--url", self.url, "--metric", self.json_path]
        words += ["--workload", self.workload] if self.workload else []
        return [*words, *_timeout(self.request_seconds)]

    @property
    def is_watched(self) -> bool:
        """See Spec."""
        return self.workload is None


@dataclass(frozen=True)
class InProcessSpec(Spec):
    """A callable in this very process."""

    function: Callable[[], Any]
    name: str

    agent_inside = in_this_process = True

    def __str__(self) -> str:
        return self.name

    def open(self, extras: Extras = NO_EXTRAS, /) -> Subject:
        """See Spec."""
        from leak_suite.subject.in_process import InProcessSubject

        return InProcessSubject(self, extras)

    def command(self) -> list[str]:
        """See Spec: no command line can name it."""
        return []


def _package(target: str) -> tuple[str, ...]:
    module = target.rpartition(":")[0]
    return () if "/" in module or module.endswith(".py") else (module.split(".")[0],)


def _python(python: Path | None) -> list[str]:
    return [] if python is None else ["--python", str(python)]


def _timeout(seconds: float) -> list[str]:
    return [] if seconds == _REQUEST_SECONDS else ["--request-timeout", f"{seconds:g}"]
