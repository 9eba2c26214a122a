"""Subjects that are only seen from outside: a command, a running process, a URL."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import httpx
import psutil

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.probes import PROBES, ProcessTree, bytes_per_unit, cross_check
from leak_suite.service_process import ServiceProcess
from leak_suite.subject.agent_code import agent_module
from leak_suite.subject.base import About, Round, Values
from leak_suite.subject.specs import CommandSpec, PidSpec, UrlSpec
from leak_suite.subject.workload import Workload

__all__ = ["CommandSubject", "PidSubject", "UrlSubject"]

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
WATCH_SECONDS = 0.1
"""Where there is no workload, an iteration is this long a look at the subject."""

UNSEEN = tuple(probe.name for probe in PROBES.values() if not probe.outside)


class _OutsideSubject:
    """Rounds and readings of a process tree; the kinds differ in how they start and end."""

    def __init__(self, workload: str | None) -> None:
        self.about = About()
        self._target = workload
        self._workload: Workload | None = None
        self._tree: ProcessTree | None = None

    def _watch(self, tree: ProcessTree, base_url: str | None) -> None:
        checks = cross_check()
        blind = {metric: text for metric, (_, _, text) in checks.items() if text}
        labelled = {f"{metric} (of a child process)": check for metric, check in checks.items()}
        self.about = About({"seen": "from outside"}, labelled, blind, UNSEEN)
        self._tree = tree
        if self._target is not None and base_url is not None:
            self._workload = Workload(self._target, base_url, self._glance, self._give_up)

    def __exit__(self, *_: object) -> None:
        workload, self._workload = self._workload, None
        if workload is not None:
            workload.close()

    def round(
        self, iterations: int, *, seconds: float, scale: float = 1.0, patience: float | None = None
    ) -> Round:
        """See `Subject.round`. The peak is the highest of the glances within the round."""
        self._peak = 0
        if self._workload is None:
            done, spent, why, error = _look_on(iterations, seconds)
        else:
            done, spent, why, error = self._workload.round(
                iterations, seconds=seconds, scale=scale, patience=patience
            )
        started = time.perf_counter()
        self._raise_if_dead()
        values = dict(self.read())
        values["peak"] = max(self._peak, values.get("rss") or 0) or None
        return Round(done, spent, time.perf_counter() - started, why, error, values)

    def read(self) -> Values:
        """See `Subject.read`. From outside nothing can be settled but by waiting."""
        assert self._tree is not None
        values = self._tree.read()
        for _ in range(25):
            time.sleep(0.002)
            again = self._tree.read()
            if all(again[name] == values[name] for name in ("fds", "threads", "children")):
                break
            values = again
        return {name: None if name in self.about.blind else v for name, v in again.items()}

    def detail(self, kind: str) -> list[Any]:
        """See `Subject.detail`."""
        if self._tree is None:
            return []
        rows: list[Any] = []
        for process in self._tree.processes():
            with contextlib.suppress(psutil.Error, OSError):
                rows += _DETAILS.get(kind, _no_detail)(process)
        return rows

    def begin_trace(self, plan: Mapping[str, Any], process: str = "") -> dict[str, Any]:
        """See `Subject.begin_trace`. There is no agent in it."""
        del plan
        return self.end_trace(process)

    def mark_trace(self, process: str = "") -> dict[str, Any]:
        """See `Subject.mark_trace`."""
        return self.end_trace(process)

    def end_trace(self, process: str = "") -> dict[str, Any]:
        """See `Subject.end_trace`."""
        del process
        raise SubjectError("this subject is seen from outside only")

    def freeze(self) -> int:
        """Nothing can be frozen from outside."""
        return 0

    def _glance(self) -> tuple[int, int, int, int, int]:
        assert self._tree is not None
        found = self._tree.glance()
        self._peak = max(self._peak, found[0])
        return found

    def _raise_if_dead(self) -> None:
        if self._tree is not None and not self._tree.alive:
            raise SubjectError("the subject is gone")

    def _give_up(self) -> None:
        """Nothing: the request ends by its own timeout."""


class CommandSubject(_OutsideSubject):
    """A server command, started here; its process group ends with us."""

    def __init__(self, spec: CommandSpec) -> None:
        super().__init__(spec.workload)
        self._argv = spec.argv
        self._server: ServiceProcess | None = None

    def __enter__(self) -> CommandSubject:
        self._server = ServiceProcess(self._argv)
        try:
            self._server.wait_until_listening(_START_SECONDS)
            self._watch(self._server.tree, self._server.base_url)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        server, self._server = self._server, None
        try:
            super().__exit__(*exc)
        finally:
            if server is not None:
                server.stop(_STOP_SECONDS)

    def _raise_if_dead(self) -> None:
        if self._server is not None and not self._server.alive:
            raise SubjectError(self._server.describe_exit())

    def _give_up(self) -> None:
        if self._server is not None:
            self._server.kill()


class PidSubject(_OutsideSubject):
    """A process that runs already and goes on running."""

    def __init__(self, spec: PidSpec) -> None:
        super().__init__(spec.workload)
        self._spec = spec

    def __enter__(self) -> PidSubject:
        try:
            tree = ProcessTree(self._spec.pid)
        except psutil.Error as error:
            raise SubjectError(f"there is no process {self._spec.pid} to look at") from error
        base_url = self._spec.base_url
        if base_url is None and self._spec.workload is not None:
            port = tree.listening_port()
            if port is None:
                raise SubjectError(f"process {self._spec.pid} listens on no port to drive")
            base_url = f"http://127.0.0.1:{port}"
        self._watch(tree, base_url)
        return self


class UrlSubject(_OutsideSubject):
    """A service that tells numbers of itself in JSON; nothing else can be seen."""

    def __init__(self, spec: UrlSpec) -> None:
        super().__init__(spec.workload)
        self._spec = spec
        self._paths = [path.strip() for path in spec.json_path.split(",") if path.strip()]
        if not self._paths:
            raise ConfigurationError("a URL needs the path of a number in its JSON")
        self._client = httpx.Client(timeout=10.0)

    def __enter__(self) -> UrlSubject:
        self.about = About({"seen": "a health endpoint"}, {}, {}, tuple(PROBES))
        self.read()
        if self._target is not None:
            url = httpx.URL(self._spec.url)
            root = str(url.copy_with(raw_path=b"/"))
            self._workload = Workload(self._target, root, self._glance, self._give_up)
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._client.close()

    def read(self) -> Values:
        """See `Subject.read`."""
        try:
            answer = self._client.get(self._spec.url)
            answer.raise_for_status()
            data = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise SubjectError(f"{self._spec.url} could not be read: {error}") from error
        return {f"counter:{path}": _scaled(path, number_at(data, path)) for path in self._paths}

    def _glance(self) -> tuple[int, int, int, int, int]:
        return 0, 0, 0, 0, 0


def number_at(data: Any, path: str) -> float:
    """The number at a path like "memory.rss_bytes" or "pools.0.size" ("$." before it is fine)."""
    found = data
    for part in path.removeprefix("$").removeprefix(".").split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, TypeError, ValueError):  # noqa: PERF203
            raise ConfigurationError(f"the JSON has nothing at {path!r}: no {part!r}") from None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise ConfigurationError(f"the JSON has no number at {path!r} but {found!r}")
    return float(found)


def _scaled(path: str, value: float) -> float:
    return value * (bytes_per_unit(path) or 1.0)


def _look_on(iterations: int, seconds: float) -> tuple[int, float, str, None]:
    count = max(1, min(iterations, int(seconds / WATCH_SECONDS)))
    started = time.perf_counter()
    time.sleep(count * WATCH_SECONDS)
    return count, time.perf_counter() - started, "done", None


def _no_detail(_: psutil.Process) -> list[Any]:
    return []


def _open_files(process: psutil.Process) -> list[Any]:
    return list(agent_module("proc").Proc(f"/proc/{process.pid}").open_files())


def _thread_names(process: psutil.Process) -> list[Any]:
    rows = agent_module("proc").Proc(f"/proc/{process.pid}").thread_names()
    return [(*row, "", "", "") for row in rows]


_DETAILS: Mapping[str, Any] = {"fds": _open_files, "threads": _thread_names}
