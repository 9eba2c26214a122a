"""Subjects that can be traced: a fresh process for each run, or this very one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from leak_suite.attribution import tracer
from leak_suite.service_process import kill_group
from leak_suite.subject import (
    AppSpec,
    CallableSpec,
    InProcessSpec,
    Round,
    Subject,
    Trace,
    open_subject,
)
from leak_suite.subject.agent_code import agent_module

if TYPE_CHECKING:
    from leak_suite.subject.app import AppSubject
    from leak_suite.subject.inside import CallableSubject

__all__ = ["Launch", "Launcher", "TracedSubject"]

_POLL_SECONDS = 0.01


class TracedSubject(Protocol):
    """A running subject with the tracer inside."""

    def round(
        self, iterations: int, *, seconds: float, scale: float = 1.0, patience: float | None = None
    ) -> Round:
        """Repeat the workload."""
        ...

    def begin_trace(self) -> None:
        """First use is over: record what is allocated from here on."""
        ...

    def stop_trace(self, until: float) -> None:
        """Have the tracer write what it recorded, by that time of the monotonic clock."""
        ...


Launch = Callable[[Trace], AbstractContextManager[TracedSubject]]


class InThisProcess:
    """A callable of this very process: the tracer starts anew for each run, the process does not.

    Traces of n and 2n iterations still differ by what an iteration leaves behind: what a full
    cache holds was made in its last turnover, in the shorter trace as in the longer one.
    """

    def __init__(self, subject: Subject, trace: Trace) -> None:
        self._subject = subject
        self._trace = trace

    def __enter__(self) -> TracedSubject:
        tracer.start(self._trace.kind, self._trace.output, self._trace.native)
        return self

    def __exit__(self, *exc: object) -> None:
        tracer.stop()

    def round(
        self, iterations: int, *, seconds: float, scale: float = 1.0, patience: float | None = None
    ) -> Round:
        """See `TracedSubject.round`."""
        return self._subject.round(iterations, seconds=seconds, scale=scale, patience=patience)

    def begin_trace(self) -> None:
        """See `TracedSubject.begin_trace`."""
        tracer.begin()

    def stop_trace(self, until: float) -> None:
        """See `TracedSubject.stop_trace`. Nothing can end it but itself."""
        del until
        tracer.stop()


class InFreshProcess:
    """A subject started anew; it is killed in the end, since tearing down what leaked takes long.

    Of several at once that are driven from here, only one works at a time: their workload is one.
    """

    def __init__(self, subject: CallableSubject | AppSubject, trace: Trace, turn: Turn) -> None:
        self._subject = subject
        self._trace = trace
        self._turn = turn

    def __enter__(self) -> TracedSubject:
        self._subject.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        kill_group(self._subject.agent.pid)
        self._subject.__exit__(*exc)

    def round(
        self, iterations: int, *, seconds: float, scale: float = 1.0, patience: float | None = None
    ) -> Round:
        """See `TracedSubject.round`."""
        with self._turn:
            return self._subject.round(iterations, seconds=seconds, scale=scale, patience=patience)

    def begin_trace(self) -> None:
        """See `TracedSubject.begin_trace`. The agent reads every counter after each round."""
        Path(f"{self._trace.output}.go").touch()
        self.round(0, seconds=0.0)

    def stop_trace(self, until: float) -> None:
        """See `TracedSubject.stop_trace`. A late answer to another question is no reason to go."""
        self._subject.agent.ask("stop_trace", max(0.0, until - time.monotonic()))
        record = Path(f"{self._trace.output}.json")
        while not record.exists() and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)


Turn = AbstractContextManager[Any]


class Launcher:
    """Starts subjects of one spec to be traced; fresh processes wherever the spec can be started.

    `same_process` tells that it cannot: then one subject, entered with this, is traced each time.
    """

    def __init__(self, spec: CallableSpec | AppSpec | InProcessSpec) -> None:
        self._here: Subject | None = None
        self.same_process = isinstance(spec, InProcessSpec)
        self._spec = spec
        self._turn: Turn = (
            threading.Lock() if isinstance(spec, AppSpec) else contextlib.nullcontext()
        )
        if isinstance(spec, AppSpec):
            with contextlib.suppress(Exception):  # it will fail again where that can be told
                agent_module("target").load(spec.workload)  # not by several threads at once

    def __enter__(self) -> Launcher:
        if self.same_process:
            self._here = open_subject(self._spec)
            self._here.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._here is not None:
            self._here.__exit__(*exc)

    def __call__(self, trace: Trace) -> AbstractContextManager[TracedSubject]:
        """The subject, not yet started."""
        if self._here is not None:
            return InThisProcess(self._here, trace)
        begin = {"trace": "_leak_suite_tracer:begin_if_wanted"}
        subject = cast(
            "CallableSubject | AppSubject", open_subject(self._spec, counters=begin, trace=trace)
        )
        return InFreshProcess(subject, trace, self._turn)
