"""One run inside Locust: rounds that all users begin and end together, and rest in between."""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any

import gevent
import gevent.event
from gevent import subprocess

from load.ledger import Ledger, Rest
from load.observe import Observed, read
from load.plan import ROOT, Plan

__all__ = ["Session"]

_REST_SECONDS = 1.2
# Workers that have just ended are still in /proc for a moment.
_SETTLE_SECONDS = 0.4
_GATE_SECONDS = 120.0


class _Barrier:
    """Lets everyone through when all have come."""

    def __init__(self) -> None:
        self._here = 0
        self._open = gevent.event.Event()

    def wait(self, all_of: int) -> bool:
        """Wait for the others; True for the last one to come."""
        self._here += 1
        if self._here >= all_of:
            self._here = 0
            opened, self._open = self._open, gevent.event.Event()
            opened.set()
            return True
        self._open.wait()
        return False


class Session:
    """The state of a run that its users share. Each Locust process has one of its own."""

    def __init__(self, plan: Plan, host: str, environment: Any) -> None:
        self.plan = plan
        self.host = host
        self.environment = environment
        self.ledger = Ledger(self._tell)
        self.users = 0
        self.round = -1
        self.rounds = 0
        self.over = False
        self.idle: dict[str, Any] | None = None
        self.health: dict[str, Any] | None = None
        self.began = self.last_sign = time.monotonic()
        self.seconds = 0.0
        self._seats = 0
        self._barrier = _Barrier()
        self._gates: dict[str, gevent.event.Event] = {}
        self._counts: dict[str, int] = {}
        self._watch: subprocess.Popen[bytes] | None = None

    def take_seat(self) -> int:
        """The number of a user, from 0; the first one leads."""
        self._seats += 1
        return self._seats - 1

    def meet(self) -> bool:
        """Wait until every user has come to this point."""
        return self._barrier.wait(max(1, self.users))

    def more_rounds(self) -> bool:
        """Whether another round begins; every user asks, all get the same answer."""
        if self.meet():
            late = 0 < self.plan.seconds <= time.monotonic() - self.began
            self.over = self.over or late or self.round + 1 >= self.rounds
            if not self.over:
                self.round += 1
                self._gates.clear()
                self._counts.clear()
        self.meet()
        return not self.over

    def arrive(self, gate: str, needed: int) -> None:
        """Count one more who has done what `gate` waits for."""
        self._counts[gate] = self._counts.get(gate, 0) + 1
        if self._counts[gate] >= needed:
            self._gate(gate).set()

    def pass_gate(self, gate: str) -> bool:
        """Wait until enough have arrived; False where they never did."""
        return bool(self._gate(gate).wait(_GATE_SECONDS))

    def rest(self) -> None:
        """Mark a stretch of time in which nothing runs."""
        gevent.sleep(_SETTLE_SECONDS)
        begin = time.monotonic()
        gevent.sleep(_REST_SECONDS)
        self.ledger.rests.append(Rest(begin, time.monotonic(), self.ledger.uploads))

    def broke(self, user: Any, error: Exception) -> None:
        """A failure of the load itself: Locust lists it, and the run cannot pass."""
        self.ledger.broken.append("".join(traceback.format_exception_only(error)).strip())
        self.environment.events.user_error.fire(
            user_instance=user, exception=error, tb=error.__traceback__
        )

    def start_watch(self) -> None:
        """Begin to observe from a process of its own."""
        self.plan.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "load.observe", "--host", self.host]
        command += ["--out", str(self._observed_file)]
        if self.plan.is_local:
            command += ["--pid", str(self.plan.pid), "--spool", self.plan.spool]
        self._watch = subprocess.Popen(command, cwd=ROOT)

    def stop_watch(self) -> None:
        """End the observer; harmless a second time."""
        if self._watch is not None:
            if self._watch.poll() is not None:
                self.ledger.broken.append("the watch ended before the run: see locust.log")
            self._watch.terminate()
            self._watch.wait()
            self._watch = None

    def observed(self) -> Observed:
        """What the observer has written so far."""
        return read(self._observed_file)

    @property
    def _observed_file(self) -> Any:
        return self.plan.folder / "observed.jsonl"

    def _gate(self, name: str) -> gevent.event.Event:
        return self._gates.setdefault(name, gevent.event.Event())

    def _tell(self, invariant: str, complaint: str) -> None:
        """Every look at an invariant is a line in Locust's own statistics."""
        self.environment.events.request.fire(
            request_type="INVARIANT",
            name=invariant,
            response_time=0,
            response_length=0,
            exception=AssertionError(complaint) if complaint else None,
            context={},
        )
