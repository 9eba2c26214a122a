"""One trial: the service starts inside a group, users drive it, and everything is written down."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from leak_suite.errors import SubjectError
from leak_suite.fit.cold import Cold, drop_cache
from leak_suite.fit.drive import Users, load_workload
from leak_suite.fit.groups import Books
from leak_suite.fit.server import Server
from leak_suite.fit.watch import Killed, Peak, Sample, Watch
from leak_suite.fit.ways import Opener
from leak_suite.subject import AppSpec, CommandSpec

__all__ = ["Load", "Trial", "run_trial"]

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
    with ExitStack() as stack:
        group = opener(limit)
        stack.callback(group.close)
        server = Server(spec, group)
        stack.callback(server.close)
        users: Users | None = None
        watch = Watch(group, server, lambda: 0 if users is None else users.done)
        stack.callback(watch.close)
        began = time.monotonic()
        error, ended, seconds, before = "", "not started", 0.0, Books(None, None, None)
        try:
            server.wait_until_it_listens(load.start_seconds)
        except SubjectError as failure:
            error = str(failure)
        started = time.monotonic() - began
        if not error:
            before = group.books()
            users = Users(workload, server.base_url, count=load.users, iterations=load.iterations)
            stack.callback(users.stop)
            driven = time.monotonic()
            ended = _follow(users, server, load, tell)
            seconds = users.seconds if ended == "done" else time.monotonic() - driven
            error = users.error or (server.last_words() if ended == "died" else "")
        alive = server.alive
        watch.close()
    if users is not None:
        users.join(_PATIENCE_SECONDS)
    after = watch.last
    return Trial(
        limit=limit,
        ended=ended,
        done=0 if users is None else users.done,
        seconds=seconds,
        start_seconds=started,
        error=error,
        oom_kills=after.oom_kills or 0,
        killed=tuple(watch.killed),
        server_alive=alive,
        peak=watch.peak,
        limit_hits=after.limit_hits,
        major_faults=_since(before.major_faults, after.major_faults),
        refaults=_since(before.refaults, after.refaults),
        stalled_seconds=_since(before.stalled_seconds, after.stalled_seconds),
        samples=tuple(watch.samples),
        files=frozenset(watch.files),
        cold=dropped,
    )


def _follow(users: Users, server: Server, load: Load, tell: Callable[[str], None]) -> str:
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
