"""What the runner asks of a subject, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from leak_suite.result import Row
    from leak_suite.subject.agents import Life
    from leak_suite.subject.processes import Coverage, ProcessReading
    from leak_suite.subject.routes import RoutesInUse
    from leak_suite.subject.trace_data import TraceAnswer, TracePlan, TraceStart

__all__ = [
    "UNGUARDED",
    "About",
    "ProcessComposition",
    "Round",
    "StopReason",
    "Subject",
    "Values",
    "Work",
]

UNGUARDED = 1e9
"""A factor that widens the guard against growth until it never ends a round."""

Values = Mapping[str, float | None]
StopReason = Literal["done", "time", "growth", "failed", "gone"]


@dataclass(frozen=True)
class Round:
    """What one round did and what was read after it.

    `stop_reason` is: "done", "time" (its seconds were up), "growth" (something grew by the
    guard's limit), "failed" (`error` says how) or "gone" (the host was). `seconds` were spent in
    the workload, `overhead` in settling and reading. `values` are those of the subject as a whole,
    or of its main process; `processes` are the others that were there, each with what it held.
    `output` is what the subject wrote last, where the workload failed.
    """

    done: int
    seconds: float
    overhead: float
    stop_reason: StopReason
    error: str | None
    values: Values
    processes: Mapping[Life, ProcessReading] = field(default_factory=dict)
    output: str = ""


@dataclass(frozen=True)
class Work:
    """What a stretch of work did; the fields are as in `Round`."""

    done: int
    seconds: float
    stop_reason: StopReason
    error: str | None


@dataclass(frozen=True)
class ProcessComposition:
    """What the allocators of one process hold, and where it stands among the subject's processes.

    `inside` is as the agent's `composition` gives it; empty where there is no agent.
    """

    group: str
    parent: int
    inside: Mapping[str, int | None]


@dataclass(frozen=True)
class About:
    """What is known of a subject once it runs."""

    environment: Mapping[str, Any] = field(default_factory=dict)
    self_check: Mapping[str, Any] = field(default_factory=dict)
    blind: Mapping[str, str] = field(default_factory=dict)
    not_observed: tuple[str, ...] = ()


class Subject(Protocol):
    """Something under measurement. Entering starts it, leaving ends everything it started."""

    about: About
    routes: RoutesInUse
    """Which routes of a service the workload called, as far as that can be seen."""
    overhead_share: float
    """The part of the workload's time that settling and reading may take between rounds."""

    def __enter__(self) -> Subject: ...

    def __exit__(self, *exc: object) -> None: ...

    def round(
        self,
        iterations: int,
        *,
        seconds: float,
        guard_factor: float = 1.0,
        timeout: float | None = None,
    ) -> Round:
        """Repeat the workload up to `iterations` times or for `seconds`, settle and read.

        `guard_factor` widens the guard against growth inside the round. After `timeout` seconds the
        subject counts as hanging: SubjectHung.
        """
        ...

    def work(self, iterations: int, *, seconds: float) -> Work:
        """Repeat the workload up to `iterations` times or for `seconds`, and do nothing else.

        Nothing is settled, and no guard against growth ends it.
        """
        ...

    def composition(self) -> dict[int, ProcessComposition]:
        """What the subject's processes hold, by process id, as they are; nothing is settled."""
        ...

    def read(self) -> Values:
        """Settle and read, without work."""
        ...

    def describe(self, kind: str) -> list[Row]:
        """The rows behind a metric; empty where they cannot be had."""
        ...

    def coverage(self) -> Coverage:
        """In how many of the subject's Python processes the agent is."""
        ...

    def freeze(self) -> int:
        """Warm-up is over: keep what is there out of the collector's way."""
        ...

    def begin_trace(self, plan: TracePlan, process: str = "") -> TraceStart:
        """Trace a process of the subject while it goes on; see the agent's `Tracing.begin`.

        `process` is a label of the process table; "" is the main one.

        Raises:
            SubjectError: it cannot be traced, or has no agent.
        """
        ...

    def mark_trace(self, process: str = "") -> None:
        """End the first of the trace's two windows."""
        ...

    def end_trace(self, process: str = "") -> TraceAnswer:
        """End the trace: what both windows left; see the agent's `Tracing.end`."""
        ...
