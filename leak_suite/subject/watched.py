"""What subjects share that this side drives: rounds of a workload, readings of a process tree."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import psutil

from leak_suite.errors import SubjectError
from leak_suite.metrics import METRICS, QuickSample
from leak_suite.metrics.crosscheck import cross_check
from leak_suite.metrics.process_tree import ProcessTree
from leak_suite.result import Row
from leak_suite.subject.agent_code import agent_module
from leak_suite.subject.agents import Life
from leak_suite.subject.base import (
    UNGUARDED,
    About,
    ProcessComposition,
    Round,
    StopReason,
    Values,
    Work,
)
from leak_suite.subject.processes import MAIN, Coverage, Processes, ProcessReading
from leak_suite.subject.routes import RoutesInUse
from leak_suite.subject.trace_data import TraceAnswer, TracePlan, TraceStart
from leak_suite.subject.workload import REQUEST_SECONDS, Workload

__all__ = ["NOT_OBSERVED", "WATCH_SECONDS", "WatchedSubject"]

WATCH_SECONDS = 0.1
"""Where there is no workload, an iteration is this long a look at the subject."""
NOT_OBSERVED = tuple(probe.name for probe in METRICS.values() if not probe.outside)
"""The metrics that only an agent inside can read."""
_PREWARM_READS = 3
_NO_PROCESSES: Mapping[Life, ProcessReading] = {}


class WatchedSubject:
    """Rounds and readings of a process tree; the kinds differ in how they start and end."""

    overhead_share = 0.25

    def __init__(self, workload: str | None, request_seconds: float = REQUEST_SECONDS) -> None:
        self.about = About()
        self.routes = RoutesInUse()
        self._target = workload
        self._request_seconds = request_seconds
        self._workload: Workload | None = None
        self._tree: ProcessTree | None = None
        self._processes: Processes | None = None
        self._peak = 0

    def _watch(
        self,
        tree: ProcessTree,
        base_url: str | None,
        processes: Processes | None = None,
        *,
        undisturbed: bool = False,
    ) -> None:
        """Begin to look at `tree`, and at its agents; read until what reading keeps is full."""
        checks = cross_check()
        blind = {metric: text for metric, (_, _, text) in checks.items() if text}
        labelled = {f"{metric} (of a child process)": check for metric, check in checks.items()}
        self.about = About({"seen": "from outside"}, labelled, blind, NOT_OBSERVED)
        self._tree = tree
        self._processes = processes
        if self._target is not None and self._workload is None:
            self._workload = self._make_workload(base_url)
        if processes is not None and not undisturbed:
            for _ in range(_PREWARM_READS):
                processes.read()
            self._describe_agents()

    def _make_workload(self, base_url: str | None) -> Workload:
        assert self._target is not None
        return Workload(
            self._target,
            base_url,
            self._quick_sample,
            self._cancel,
            request_seconds=self._request_seconds,
            routes=self.routes,
        )

    def _describe_agents(self) -> None:
        """Once there are agents: what they can see is observed, and in which interpreter."""
        assert self._processes is not None
        coverage = self._processes.coverage()
        if not coverage.inside:
            return
        checks, blind = self._processes.self_checks()
        self.about = replace(
            self.about,
            environment={**self._processes.environment(), "seen": "from outside and by agents"},
            self_check={**self.about.self_check, **checks},
            blind={**blind, **self.about.blind},
            not_observed=NOT_OBSERVED if coverage.without else (),
        )

    def __exit__(self, *_: object) -> None:
        workload, self._workload = self._workload, None
        if workload is not None:
            workload.close()

    def round(
        self,
        iterations: int,
        *,
        seconds: float,
        guard_factor: float = 1.0,
        timeout: float | None = None,
    ) -> Round:
        """See `Subject.round`. The peak is the highest of the quick samples within the round."""
        self._peak = 0
        if self._workload is None:
            done, spent, stop_reason, error = _look_on(iterations, seconds)
        else:
            done, spent, stop_reason, error = self._workload.round(
                iterations, seconds=seconds, guard_factor=guard_factor, timeout=timeout
            )
        started = time.perf_counter()
        self._raise_if_dead()
        processes = _NO_PROCESSES if self._processes is None else self._processes.read()
        values = dict(self.read())
        values["peak"] = max(self._peak, values.get("rss") or 0) or None
        output = "" if error is None else self._last_output()
        overhead = time.perf_counter() - started
        return Round(done, spent, overhead, stop_reason, error, values, processes, output)

    def work(self, iterations: int, *, seconds: float) -> Work:
        """See `Subject.work`."""
        if self._workload is None:
            work = Work(*_look_on(iterations, seconds))
        else:
            work = Work(
                *self._workload.round(
                    iterations, seconds=seconds, guard_factor=UNGUARDED, timeout=None
                )
            )
        self._raise_if_dead()
        return work

    def composition(self) -> dict[int, ProcessComposition]:
        """See `Subject.composition`."""
        if self._processes is not None:
            return self._processes.compositions()
        tree = [] if self._tree is None else self._tree.processes()
        return {
            process.pid: ProcessComposition(MAIN if not number else "child process", 0, {})
            for number, process in enumerate(tree)
        }

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

    def describe(self, kind: str) -> list[Row]:
        """See `Subject.describe`."""
        group, _, metric = kind.rpartition("@")
        if group and self._processes is not None:
            return self._processes.describe(group, metric)
        if self._tree is None:
            return []
        rows: list[Row] = []
        for process in self._tree.processes():
            with contextlib.suppress(psutil.Error, OSError):
                rows += _DETAILS.get(kind, _no_rows)(process)
        return rows

    def freeze(self) -> int:
        """See `Subject.freeze`. Without an agent nothing can be frozen."""
        return 0 if self._processes is None else self._processes.freeze()

    def coverage(self) -> Coverage:
        """See `Subject.coverage`."""
        if self._processes is None:
            return Coverage(0, 0)
        self._describe_agents()
        return self._processes.coverage()

    def begin_trace(self, plan: TracePlan, process: str = "") -> TraceStart:
        """See `Subject.begin_trace`."""
        return self._tracing().begin_trace(plan, process or MAIN)

    def mark_trace(self, process: str = "") -> None:
        """See `Subject.mark_trace`."""
        self._tracing().mark_trace(process or MAIN)

    def end_trace(self, process: str = "") -> TraceAnswer:
        """See `Subject.end_trace`."""
        return self._tracing().end_trace(process or MAIN)

    def _tracing(self) -> Processes:
        if self._processes is None:
            raise SubjectError("this subject is seen from outside only")
        return self._processes

    def _quick_sample(self) -> QuickSample:
        assert self._tree is not None
        found = self._tree.quick_sample()
        self._peak = max(self._peak, found.rss)
        return found

    def _raise_if_dead(self) -> None:
        if self._tree is not None and not self._tree.alive:
            raise SubjectError("the subject is gone")

    def _last_output(self) -> str:
        """What the subject wrote last, for a workload that failed."""
        return ""

    def _cancel(self) -> None:
        """Nothing: the request ends by its own timeout."""


def _look_on(iterations: int, seconds: float) -> tuple[int, float, StopReason, None]:
    count = max(1, min(iterations, int(seconds / WATCH_SECONDS)))
    started = time.perf_counter()
    time.sleep(count * WATCH_SECONDS)
    return count, time.perf_counter() - started, "done", None


def _no_rows(_: psutil.Process) -> list[Row]:
    return []


def _open_files(process: psutil.Process) -> list[Row]:
    return list(agent_module("proc").Proc(f"/proc/{process.pid}").open_files())


def _thread_names(process: psutil.Process) -> list[Row]:
    rows = agent_module("proc").Proc(f"/proc/{process.pid}").thread_names()
    return [(*row, "", "", "") for row in rows]


_DETAILS: Mapping[str, Callable[[psutil.Process], list[Row]]] = {
    "fds": _open_files,
    "threads": _thread_names,
}
