"""One run inside Locust: rounds that all users begin and end together, idle in between."""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any

import gevent
import gevent.event
from gevent import subprocess

from load.distributed import LinkToMaster
from load.observer import Observations, read
from load.plan import ROOT, LoadPlan
from load.run_log import IdleWindow, RunLog

__all__ = ["LoadSession"]

_IDLE_SECONDS = 1.2
# Workers that have just ended are still in /proc for a moment.
_SETTLE_SECONDS = 0.4
_LATCH_SECONDS = 120.0


class _Barrier:
    """Lets all through when the last one has come."""

    def __init__(self) -> None:
        self._waiting = 0
        self._open = gevent.event.Event()

    def wait(self, all_of: int) -> bool:
        """Wait for the others; True for the last one to come."""
        self._waiting += 1
        if self._waiting >= all_of:
            self._waiting = 0
            opened, self._open = self._open, gevent.event.Event()
            opened.set()
            return True
        self._open.wait()
        return False


class LoadSession:
    """The state of a run that its users share. Each Locust process has one of its own.

    `link`: to the process that leads and judges the run, where that is another one.
    """

    def __init__(self, plan: LoadPlan, host: str, environment: Any) -> None:
        self.plan = plan
        self.host = host
        self.environment = environment
        self.log = RunLog(self._report_check)
        self.users = 0
        self.round = -1
        self.rounds = 0
        self.over = False
        self.ends_run = False
        self.idle: dict[str, Any] | None = None
        self.health: dict[str, Any] | None = None
        self.began = self.last_sign = time.monotonic()
        self.seconds = 0.0
        #: Jobs a second, round by round, where a scenario compares them.
        self.rates: list[float] = []
        self.link: LinkToMaster | None = None
        self._user_count = 0
        self._barrier = _Barrier()
        self._latches: dict[str, gevent.event.Event] = {}
        self._counts: dict[str, int] = {}
        self._observer: subprocess.Popen[bytes] | None = None

    def next_user_index(self) -> int:
        """The index of the next user, from 0; the first one is the leader."""
        self._user_count += 1
        return self._user_count - 1

    def wait_for_all(self) -> bool:
        """Wait until every user has come to this point."""
        return self._barrier.wait(max(1, self.users))

    def more_rounds(self) -> bool:
        """Whether another round begins; every user asks, all get the same answer."""
        if self.wait_for_all():
            if self.link is None:
                self.over = self.is_through()
            else:
                self.over = not self.link.ask_for_round(self.log.uploads)
            if not self.over:
                self.round += 1
                self._latches.clear()
                self._counts.clear()
        self.wait_for_all()
        return not self.over

    def is_through(self) -> bool:
        """Whether the round that has just ended was the last one."""
        late = 0 < self.plan.seconds <= time.monotonic() - self.began
        return self.over or late or self.round + 1 >= self.rounds

    def count_down(self, latch: str, needed: int) -> None:
        """Count one more user that has done what `latch` waits for; the `needed`th opens it."""
        self._counts[latch] = self._counts.get(latch, 0) + 1
        if self._counts[latch] >= needed:
            self._latch(latch).set()

    def wait_for(self, latch: str) -> bool:
        """Wait until enough users have counted down; False if that takes more than 120 s."""
        return bool(self._latch(latch).wait(_LATCH_SECONDS))

    def mark_idle(self) -> None:
        """Keep still for a moment and record it: readings of that window are compared.

        In a run by several processes only the one that leads it knows that all are still.
        """
        if self.link is not None:
            return
        gevent.sleep(_SETTLE_SECONDS)
        begin = time.monotonic()
        gevent.sleep(_IDLE_SECONDS)
        self.log.idle_windows.append(IdleWindow(begin, time.monotonic(), self.log.uploads))

    def end_run(self) -> None:
        """End the run; one by several processes is ended by the one that leads it."""
        if self.link is not None:
            self.link.hand_over(self.log, self.health)
        elif self.ends_run:
            gevent.spawn(self.environment.runner.quit)

    def record_error(self, user: Any, error: Exception) -> None:
        """A failure of the load itself: Locust lists it, and the run cannot pass."""
        self.log.broken.append("".join(traceback.format_exception_only(error)).strip())
        self.environment.events.user_error.fire(
            user_instance=user, exception=error, tb=error.__traceback__
        )

    def start_observer(self) -> None:
        """Start the observer, a process of its own."""
        self.plan.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "load.observer", "--host", self.host]
        command += ["--out", str(self._observed_file)]
        if self.plan.is_local:
            command += ["--spool", self.plan.spool]
            for pid in self.plan.pids.split(","):
                command += ["--pid", pid]
        self._observer = subprocess.Popen(command, cwd=ROOT)

    def stop_observer(self) -> None:
        """End the observer; harmless a second time."""
        if self._observer is not None:
            if self._observer.poll() is not None:
                self.log.broken.append("the observer ended before the run: see locust.log")
            self._observer.terminate()
            self._observer.wait()
            self._observer = None

    def observed(self) -> Observations:
        """What the observer has written so far."""
        return read(self._observed_file)

    @property
    def _observed_file(self) -> Any:
        return self.plan.folder / "observed.jsonl"

    def _latch(self, name: str) -> gevent.event.Event:
        return self._latches.setdefault(name, gevent.event.Event())

    def _report_check(self, invariant: str, error: str) -> None:
        """Every check of an invariant is a line in Locust's own statistics."""
        self.environment.events.request.fire(
            request_type="INVARIANT",
            name=invariant,
            response_time=0,
            response_length=0,
            exception=AssertionError(error) if error else None,
            context={},
        )
