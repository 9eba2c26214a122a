"""One subject under measurement: its reader, its workload, and what can be asked of both."""

from __future__ import annotations

import gc
import sys
import time

from . import target
from .composition import composition
from .details import describe
from .growth_guard import GrowthGuard
from .loop import Loop, describe_error
from .metric_reader import MetricReader
from .selfcheck import check_probes
from .tracked import Counter, track

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Session"]


_UNGUARDED = 1e9


class Session:
    """Answers the commands of the conversation; also used without one, in the same process.

    `function` may be given, or be named by `load`; a server has none.
    """

    def __init__(self, temp_dir: str, own_fds: int = 0, own_threads: int = 0) -> None:
        self.reader = MetricReader(temp_dir, own_fds, own_threads)
        self.loop: Any = None
        self.on_trace: Callable[[], None] | None = None
        """Called when a trace has begun."""
        self._tracing: Any = None
        self._temp_dir = temp_dir

    def self_check(self, *, memory_only: bool = False) -> dict[str, Any]:
        """Show every probe a known amount; what each saw, and which are blind."""
        return check_probes(self.reader, self._temp_dir, memory_only=memory_only)

    def watch(self, tracked: Iterable[str], counters: Iterable[str]) -> None:
        """Count objects of these classes, and read these ("name=module:callable") counters."""
        for name in tracked:
            self.reader.tracked.append(track(name))
        for item in counters:
            name, _, function = item.partition("=")
            self.reader.counters.append(Counter(name, target.load(function)))

    def use(self, function: Callable[..., Any]) -> None:
        """Take `function` as the workload."""
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called")
        self.loop = Loop(function)
        if self.loop.event_loop is not None:
            self.reader.spin = self.loop.spin
            self.reader.tasks.loops.append(self.loop.event_loop)

    def round(
        self,
        iterations: int,
        seconds: float,
        guard_factor: float,
        alive: Callable[[], bool] = lambda: True,
    ) -> dict[str, Any]:
        """Repeat the workload, settle, read. What was done, what it cost and what is there now."""
        self.reader.proc.reset_peak()
        guard = GrowthGuard(self.reader.quick_sample, guard_factor)
        done, spent, stop_reason, error = self.loop.round(iterations, seconds, guard, alive)
        peak = self.peak()
        reply = self.read()
        reply["overhead"] += guard.cost
        reply["values"]["peak"] = peak
        reply.update(done=done, seconds=spent, stop_reason=stop_reason, error=error)
        return reply

    def work(
        self, iterations: int, seconds: float, alive: Callable[[], bool] = lambda: True
    ) -> dict[str, Any]:
        """Repeat the workload and leave everything as it is then: nothing is settled or read."""
        guard = GrowthGuard(self.reader.quick_sample, _UNGUARDED)
        done, spent, stop_reason, error = self.loop.round(iterations, seconds, guard, alive)
        return {"done": done, "seconds": spent, "stop_reason": stop_reason, "error": error}

    def composition(self) -> dict[str, int | None]:
        """What the allocators of this process hold; see `composition`."""
        return composition(self.reader.library)

    def read(self) -> dict[str, Any]:
        """Settle and read: {"values": by metric, "overhead": seconds that this took}.

        Overhead is processor time, and the time that settling waited on purpose: when other
        processes get the processor meanwhile, that is not ours.
        """
        started = time.thread_time()
        waited = self.reader.settle()
        values = self.reader.read()
        return {"values": values, "overhead": waited + time.thread_time() - started}

    def peak(self) -> int | None:
        """The high-water mark since it was last asked for, and begin a new one."""
        peak = None if "peak" in self.reader.blind else self.reader.proc.memory()[2]
        self.reader.proc.reset_peak()
        return peak

    def describe(self, kind: str) -> list[Any]:
        """The rows behind one metric."""
        return describe(self.reader, kind)

    def begin_trace(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Start tracing in this process; see `Tracing.begin` for the plan."""
        if self._tracing is None:
            from .tracing import Tracing

            self._tracing = Tracing()
        self.reader.thaw()  # what the collector does not see has no referrers
        started: dict[str, Any] = self._tracing.begin(plan)
        if self.on_trace is not None:
            self.on_trace()
        return started

    def mark_trace(self) -> dict[str, Any]:
        """The first window is over; see `Tracing.mark`."""
        marked: dict[str, Any] = self._need_tracing().mark()
        return marked

    def end_trace(self) -> dict[str, Any]:
        """What was traced; see `Tracing.end`."""
        traced: dict[str, Any] = self._need_tracing().end()
        return traced

    def _need_tracing(self) -> Any:
        if self._tracing is None:
            raise RuntimeError("no trace was begun")
        return self._tracing

    def freeze(self) -> int:
        """End of warm-up: how many objects the collector need not look at any more."""
        self.reader.freeze()
        return self.reader.frozen

    def about(self) -> dict[str, Any]:
        """The interpreter that this runs in."""
        return {
            "python": sys.version.split()[0],
            "implementation": sys.implementation.name,
            "executable": sys.executable,
            "platform": sys.platform,
            "gc_threshold": gc.get_threshold(),
            "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        }

    def close(self) -> None:
        """Give the process back as it was, where it goes on without us."""
        if self._tracing is not None:
            self._tracing.close()
        self.reader.thaw()
        if self.loop is not None:
            self.loop.close()
        for tracked in self.reader.tracked:
            tracked.release()

    def forget(self) -> None:
        """In a forked child: what belongs to the parent is left alone from here on."""

    def error(self, error: BaseException) -> str:
        """One line on an exception."""
        return describe_error(error)
