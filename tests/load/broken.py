"""Services that break one promise each, made through the app's own seams.

Served by `python -m load … --app tests.load.broken:NAME --factory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any

from load import invariants
from reference_app.app import create_app
from reference_app.clock import Clock
from reference_app.factories import ServiceFactories, make_admission, make_worker_factory
from reference_app.jobs.admission import Admission
from reference_app.jobs.model import Job
from reference_app.jobs.queue import WorkerPool
from reference_app.jobs.store import JobRegistry
from reference_app.logs import Logger
from reference_app.pipeline.errors import JobFailed
from reference_app.pipeline.task import Summary, Task
from reference_app.settings import Settings
from reference_app.workers.child_main import Engine
from reference_app.workers.worker import OnProgress, Worker

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]

#: A scenario, a service that it has to find out in a single round, and the promise that is broken.
PROMISES = (
    ("concurrency", "three_slots", invariants.SLOTS),
    ("concurrency", "eleven_pending", invariants.PLACES),
    ("concurrency", "no_retry_after", invariants.RETRY_AFTER),
    ("concurrency", "lost_job", invariants.LOST),
    ("concurrency", "slot_lost_on_failure", invariants.LOST),
    ("concurrency", "slow_health", invariants.HEALTH),
    ("cancel", "slot_lost_on_cancel", "a cancelled job is free within 2 s"),
)

SLOW_SECONDS = 0.15
LOSE_EVERY = 5


def healthy() -> App:
    """The service as it is."""
    return create_app(Settings())


# -- limits that are one too high, while the service declares the right ones


def three_slots() -> App:
    """Runs three jobs at once."""

    def pool(settings: Settings, may_start: Any, log: Logger) -> WorkerPool:
        return WorkerPool(settings.max_processing + 1, may_start, log)

    return create_app(Settings(), ServiceFactories(pool=pool))


def eleven_pending() -> App:
    """Lets eleven jobs wait."""

    def admission(settings: Settings, *others: Any) -> Admission:
        generous = settings.model_copy(update={"max_pending": settings.max_pending + 1})
        return make_admission(generous, *others)

    return create_app(Settings(), ServiceFactories(admission=admission))


def no_size_limit() -> App:
    """Takes whatever is sent."""
    return create_app(Settings(max_upload_mb=1000))


# -- jobs and slots that go missing


class _ForgetfulRegistry(JobRegistry):
    """Every fifth job is never entered."""

    _added = 0

    def add(self, job: Job) -> None:
        """Take most jobs in."""
        self._added += 1
        if self._added % LOSE_EVERY:
            super().add(job)


def lost_job() -> App:
    """Accepts jobs that nobody ever hears of again."""

    def registry(settings: Settings, clock: Clock) -> JobRegistry:
        return _ForgetfulRegistry(settings.job_ttl_seconds, clock)

    return create_app(Settings(), ServiceFactories(registry=registry))


class _TellsFailure:
    """A worker that remembers whether its job failed."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.failed = False

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    async def run(self, on_progress: OnProgress) -> Summary:
        try:
            return await self._worker.run(on_progress)
        except JobFailed:
            self.failed = True
            raise

    def stop(self) -> None:
        self._worker.stop()


class _KeepsSlots(WorkerPool):
    """A slot whose job failed is never given back."""

    def _finished(self, job_id: str) -> None:
        worker = self._workers[job_id]
        if not (isinstance(worker, _TellsFailure) and worker.failed):
            super()._finished(job_id)


def slot_lost_on_failure() -> App:
    """Runs one job less for every job that failed."""

    def pool(settings: Settings, may_start: Any, log: Logger) -> WorkerPool:
        return _KeepsSlots(settings.max_processing, may_start, log)

    def workers(settings: Settings, engine: Engine) -> Callable[[Task], Worker]:
        make = make_worker_factory(settings, engine)
        return lambda task: _TellsFailure(make(task))

    return create_app(Settings(), ServiceFactories(pool=pool, workers=workers))


def slot_lost_on_cancel() -> App:
    """A cancelled job goes on running: it is marked, and not stopped."""

    class Deaf(WorkerPool):
        async def stop(self, job_id: str) -> None:
            if job_id in self._running:
                await asyncio.wait({self._running[job_id]})

    def pool(settings: Settings, may_start: Any, log: Logger) -> WorkerPool:
        return Deaf(settings.max_processing, may_start, log)

    return create_app(Settings(), ServiceFactories(pool=pool))


# -- answers that are not what they should be


def no_retry_after() -> App:
    """Refuses without saying when to come back."""
    app = create_app(Settings())

    async def without(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        async def strip(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0] != b"retry-after"]
                message = {**message, "headers": kept}
            await send(message)

        await app(scope, receive, strip)

    return without


def slow_health() -> App:
    """Alive, after some thought."""
    app = create_app(Settings())

    async def slow(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/health":
            await asyncio.sleep(SLOW_SECONDS)
        await app(scope, receive, send)

    return slow


def no_memory_guard() -> App:
    """Takes uploads however much memory it holds."""

    def admission(settings: Settings, pool: WorkerPool, guard: Any, seconds: Any) -> Admission:
        made = make_admission(settings, pool, guard, seconds)

        async def room() -> bool:
            return True

        guard.has_room = room
        return made

    return create_app(Settings(), replace(ServiceFactories(), admission=admission))


def leaks_a_descriptor() -> App:
    """Keeps one more file open for every upload."""
    app = create_app(Settings())
    kept: list[Any] = []

    async def keeping(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/api/upload":
            kept.append(open("/dev/null"))  # noqa: SIM115, PTH123
        await app(scope, receive, send)

    return keeping
