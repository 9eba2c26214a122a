"""One trial: the service starts inside a group, users drive it, and everything is written down."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from leak_suite.errors import SubjectError
from leak_suite.fit.cold import Cold, drop_cache
from leak_suite.fit.drive import Users, load_workload
from leak_suite.fit.groups import Books, Group
from leak_suite.fit.server import argv_of
from leak_suite.fit.watch import Killed, Peak, Sample, Watch
from leak_suite.fit.ways import Opener
from leak_suite.service_process import ServiceProcess
from leak_suite.subject import AppSpec, CommandSpec

__all__ = ["Load", "Trial", "run_trial"]

_STOP_SECONDS = 10.0
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Load:
    """How much is asked of the service, and for how long."""

    users: int
    iterations: int
    start_seconds: float
    max_seconds: float


@dataclass(frozen=True)
class Trial:
    """What one trial came to.

    `ended` is "done", "time", "failed" (the workload raised), "died" (the server did) or "not
    started". Faults, refaults and stalls are of the driven part only: a cold start has its own.
    """

    limit: int | None
    ended: str
    done: int
    seconds: float
    start_seconds: float
    error: str = ""
    oom_kills: int = 0
    killed: tuple[Killed, ...] = ()
    server_alive: bool = True
    peak: Peak = field(default_factory=Peak)
    limit_hits: int | None = None
    major_faults: float | None = None
    refaults: float | None = None
    stalled_seconds: float | None = None
    samples: tuple[Sample, ...] = ()
    files: frozenset[str] = frozenset()
    cold: Cold | None = None

    @property
    def seconds_per_iteration(self) -> float | None:
        """By the clock, with all users at work; None where none was finished."""
        return self.seconds / self.done if self.done else None


def run_trial(
    spec: AppSpec | CommandSpec,
    opener: Opener,
    limit: int | None,
    load: Load,
    *,
    cold: frozenset[str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Trial:
    """Run it; with `cold`, the files to drop from the page cache before the service starts."""
    workload = load_workload(spec.workload)
    dropped = None if cold is None else drop_cache(sorted(cold))
    drive = _Drive()
    with ExitStack() as stack:
        group = opener(limit)
        stack.callback(group.close)
        server = ServiceProcess(group.wrap(argv_of(spec)))
        stack.callback(server.stop, _STOP_SECONDS)
        watch = Watch(group, server, lambda: drive.done)
        stack.callback(watch.close)
        stack.callback(drive.stop)
        began = time.monotonic()
        try:
            server.wait_until_listening(load.start_seconds)
        except SubjectError as failure:
            drive.error = str(failure)
        started = time.monotonic() - began
        if not drive.error:
            drive.run(workload, server, group, load, tell)
        watch.close()
        # A killed process has lost its connections a moment before its end can be read.
        alive = server.alive and not any(one.is_server for one in watch.killed)
    drive.join()
    return _written_down(
        watch, drive, limit=limit, start_seconds=started, server_alive=alive, cold=dropped
    )


@dataclass
class _Drive:
    """The driven part of a trial: the users, how it ended, and the books before it."""

    ended: str = "not started"
    error: str = ""
    seconds: float = 0.0
    before: Books = field(default_factory=lambda: Books(None, None, None))
    users: Users | None = None

    @property
    def done(self) -> int:
        """Iterations that are finished."""
        return 0 if self.users is None else self.users.done

    def run(
        self,
        workload: Callable[..., Any],
        server: ServiceProcess,
        group: Group,
        load: Load,
        tell: Callable[[str], None],
    ) -> None:
        """Let the users in, and follow them to the end."""
        self.before = group.books()
        began = time.monotonic()
        users = Users(workload, server.base_url, count=load.users, iterations=load.iterations)
        self.users = users
        self.ended = _follow(users, server, load, tell)
        self.seconds = users.seconds if self.ended == "done" else time.monotonic() - began
        self.error = users.error or (server.describe_exit() if self.ended == "died" else "")

    def stop(self) -> None:
        """Begin nothing more."""
        if self.users is not None:
            self.users.stop()

    def join(self) -> None:
        """Wait a moment for those whose last request has just lost its server."""
        if self.users is not None:
            self.users.join(_PATIENCE_SECONDS)


def _written_down(watch: Watch, drive: _Drive, **known: Any) -> Trial:
    before, after = drive.before, watch.last
    return Trial(
        ended=drive.ended,
        done=drive.done,
        seconds=drive.seconds,
        error=drive.error,
        oom_kills=after.oom_kills or 0,
        killed=tuple(watch.killed),
        peak=watch.peak,
        limit_hits=after.limit_hits,
        major_faults=_since(before.major_faults, after.major_faults),
        refaults=_since(before.refaults, after.refaults),
        stalled_seconds=_since(before.stalled_seconds, after.stalled_seconds),
        samples=tuple(watch.samples),
        files=frozenset(watch.files),
        **known,
    )


def _follow(users: Users, server: ServiceProcess, load: Load, tell: Callable[[str], None]) -> str:
    until = time.monotonic() + load.max_seconds
    while users.busy:
        if not server.alive:
            return "died"
        if users.error:
            return "failed"
        if time.monotonic() > until:
            return "time"
        tell(f"{users.done:,} of {load.iterations:,} iterations")
        time.sleep(0.05)
    return "failed" if users.error else "done"


def _since(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
