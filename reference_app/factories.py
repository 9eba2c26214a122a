"""The seam of the whole service: what each part is made by, replaceable one at a time.

Another engine (a broker's queue, a shared registry, an object store), a test's clock or a seeded
defect takes the place of one factory; nothing is patched from outside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TextIO

import anyio

from reference_app.clock import Clock, SystemClock
from reference_app.http.upload_handler import Accept, UploadHandler
from reference_app.jobs.admission import Admission
from reference_app.jobs.events import JobEvents
from reference_app.jobs.queue import WorkerPool
from reference_app.jobs.store import JobRegistry
from reference_app.logs import Logger
from reference_app.memory.guard import MemoryGuard
from reference_app.memory.reading import Limit, container_limit
from reference_app.pipeline import PipelineFactories
from reference_app.pipeline.task import Task
from reference_app.settings import MIB, Settings
from reference_app.storage.local import ArtifactStore
from reference_app.workers.child_main import Engine, pipeline_engine
from reference_app.workers.process import ProcessWorker
from reference_app.workers.thread import ThreadWorker
from reference_app.workers.worker import Worker

__all__ = ["ServiceFactories", "WorkerFactory"]

WorkerFactory = Callable[[Task], Worker]


def make_registry(settings: Settings, clock: Clock) -> JobRegistry:
    """Jobs in the memory of this process."""
    return JobRegistry(settings.job_ttl_seconds, clock)


def make_artifacts(settings: Settings) -> ArtifactStore:
    """Files in a local folder."""
    return ArtifactStore(settings.spool_dir, allow_tmpfs=settings.allow_spool_on_tmpfs)


def make_guard(
    settings: Settings, clock: Clock, log: Logger, worker_pids: Callable[[], Collection[int]]
) -> MemoryGuard:
    """The guard of this process and its children, under the container's limit or the plan's."""
    limit = container_limit() or Limit(settings.memory_limit_mb * MIB, "setting MEMORY_LIMIT_MB")
    return MemoryGuard(
        soft_bytes=settings.memory_soft_mb * MIB,
        hard_bytes=settings.memory_hard_mb * MIB,
        limit=limit,
        clock=clock,
        log=log,
        worker_pids=worker_pids,
    )


def make_pool(
    settings: Settings, may_start: Callable[[], Awaitable[bool]], log: Logger
) -> WorkerPool:
    """A queue in this process, and local workers."""
    return WorkerPool(settings.max_processing, may_start, log)


def make_admission(
    settings: Settings, pool: WorkerPool, guard: MemoryGuard, estimated_wait: Callable[[], int]
) -> Admission:
    """The limits as the settings give them."""
    return Admission(
        max_pending=settings.max_pending,
        waiting=lambda: pool.waiting,
        guard=guard,
        estimated_wait=estimated_wait,
        drain_seconds=settings.drain_seconds,
    )


def make_worker_factory(settings: Settings, engine: Engine) -> WorkerFactory:
    """Workers as processes, or as threads where the settings say so."""
    if settings.workers == "thread":
        limiter = anyio.CapacityLimiter(settings.max_processing)
        return lambda task: ThreadWorker(engine, task, limiter)
    return lambda task: ProcessWorker(engine, task, niceness=settings.worker_niceness)


@dataclass(frozen=True)
class ServiceFactories:
    """What a service is put together from. `pipeline` and `engine` travel to worker processes."""

    clock: Callable[[], Clock] = SystemClock
    registry: Callable[[Settings, Clock], JobRegistry] = make_registry
    artifacts: Callable[[Settings], ArtifactStore] = make_artifacts
    guard: Callable[[Settings, Clock, Logger, Callable[[], Collection[int]]], MemoryGuard] = (
        make_guard
    )
    pool: Callable[[Settings, Callable[[], Awaitable[bool]], Logger], WorkerPool] = make_pool
    admission: Callable[[Settings, WorkerPool, MemoryGuard, Callable[[], int]], Admission] = (
        make_admission
    )
    upload_handler: Callable[[Settings, ArtifactStore, Admission, Accept], UploadHandler] = (
        UploadHandler
    )
    workers: Callable[[Settings, Engine], WorkerFactory] = make_worker_factory
    broadcaster: Callable[[], JobEvents] = JobEvents
    pipeline: PipelineFactories = field(default_factory=PipelineFactories)
    engine: Callable[[PipelineFactories], Engine] = pipeline_engine
    log_stream: TextIO | None = None
