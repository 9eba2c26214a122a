"""One trial: the service starts under a limit, clients put load on it, and its figures are kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.fit.backends import CgroupFactory
from leak_suite.fit.cgroup import CgroupStats
from leak_suite.fit.load_generator import ClientPool, load_workload
from leak_suite.fit.page_cache import drop_page_cache
from leak_suite.fit.result import KilledProcess, PageCacheDrop, Peak
from leak_suite.fit.sampler import UsageSample, UsageSampler
from leak_suite.service_process import ServiceProcess
from leak_suite.subject import Spec

__all__ = ["Load", "Trial", "TrialEnd", "run_trial"]

_STOP_SECONDS = 10.0
_JOIN_SECONDS = 5.0
_POLL_SECONDS = 0.05


class TrialEnd(str, Enum):
    """How a trial ended."""

    DONE = "done"
    TIME = "time"
    FAILED = "failed"
    """The workload raised."""
    DIED = "died"
    """The server ended."""
    NOT_STARTED = "not started"


@dataclass(frozen=True)
class Load:
    """`users` clients that do `iterations` between them.

    `start_seconds`: how long the service may take to listen; `max_seconds`: how long the load may
    take.
    """

    users: int
    iterations: int
    start_seconds: float
    max_seconds: float


@dataclass(frozen=True)
class Trial:
    """The figures of one trial. `limit` and the peak are in bytes; `done` counts iterations.

    Faults, refaults and stalls are those while the clients worked: a cold start has its own.
    """

    limit: int | None
    end: TrialEnd
    done: int
    seconds: float
    start_seconds: float
    error: str = ""
    oom_kills: int = 0
    killed: tuple[KilledProcess, ...] = ()
    server_alive: bool = True
    peak: Peak = field(default_factory=Peak)
    limit_hits: int | None = None
    major_faults: float | None = None
    refaults: float | None = None
    stalled_seconds: float | None = None
    samples: tuple[UsageSample, ...] = ()
    files: frozenset[str] = frozenset()
    page_cache: PageCacheDrop | None = None

    @property
    def seconds_per_iteration(self) -> float | None:
        """By the clock, with all clients at work; None where no iteration was finished."""
        return self.seconds / self.done if self.done else None


def run_trial(
    spec: Spec,
    make_cgroup: CgroupFactory,
    limit: int | None,
    load: Load,
    *,
    files: frozenset[str] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Trial:
    """Run one trial; with `files`, those are dropped from the page cache before it starts."""
    argv = spec.service_argv()
    if not argv:
        raise ConfigurationError("fit needs a service: --app, or -- COMMAND, with --workload")
    if spec.workload is None:
        raise ConfigurationError("fit needs a workload that puts load on the service")
    workload = load_workload(spec.workload)
    dropped = None if files is None else drop_page_cache(sorted(files))
    end, error, seconds = TrialEnd.NOT_STARTED, "", 0.0
    before = CgroupStats()
    clients: ClientPool | None = None

    def done() -> int:
        return 0 if clients is None else clients.done

    with ExitStack() as stack:
        cgroup = make_cgroup(limit)
        stack.callback(cgroup.close)
        began = time.monotonic()
        server = ServiceProcess(cgroup.wrap(argv))
        stack.callback(server.stop, _STOP_SECONDS)
        sampler = UsageSampler(cgroup, server, done)
        stack.callback(sampler.close)
        try:
            server.wait_until_listening(load.start_seconds)
        except SubjectError as failure:
            error = str(failure)
        start_seconds = time.monotonic() - began
        if not error:
            before, began = cgroup.stats(), time.monotonic()
            clients = ClientPool(
                workload, server.base_url, count=load.users, iterations=load.iterations
            )
            stack.callback(clients.stop)
            end = _wait_for_end(clients, server, load, on_progress)
            seconds = clients.seconds if end is TrialEnd.DONE else time.monotonic() - began
            error = clients.error or (server.describe_exit() if end is TrialEnd.DIED else "")
        sampler.close()
        # A killed process has lost its connections a moment before its end can be read.
        alive = server.alive and not any(process.is_server for process in sampler.killed)
    if clients is not None:
        clients.join(_JOIN_SECONDS)  # those whose last request has just lost its server
    after = sampler.last
    return Trial(
        limit=limit,
        end=end,
        done=done(),
        seconds=seconds,
        start_seconds=start_seconds,
        error=error,
        oom_kills=after.oom_kills or 0,
        killed=tuple(sampler.killed),
        server_alive=alive,
        peak=sampler.peak,
        limit_hits=after.limit_hits,
        major_faults=_since(before.major_faults, after.major_faults),
        refaults=_since(before.refaults, after.refaults),
        stalled_seconds=_since(before.stalled_seconds, after.stalled_seconds),
        samples=tuple(sampler.samples),
        files=frozenset(sampler.files),
        page_cache=dropped,
    )


def _wait_for_end(
    clients: ClientPool, server: ServiceProcess, load: Load, on_progress: Callable[[str], None]
) -> TrialEnd:
    until = time.monotonic() + load.max_seconds
    while clients.busy:
        if not server.alive:
            return TrialEnd.DIED
        if clients.error:
            return TrialEnd.FAILED
        if time.monotonic() > until:
            return TrialEnd.TIME
        on_progress(f"{clients.done:,} of {load.iterations:,} iterations")
        time.sleep(_POLL_SECONDS)
    return TrialEnd.FAILED if clients.error else TrialEnd.DONE


def _since(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
