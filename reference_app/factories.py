"""The seam of the whole service: what each part is made by, replaceable one at a time.

Another engine (a database server, a broker, an object store), a test's clock or a seeded defect
takes the place of one factory; nothing is patched from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TextIO

import anyio

from reference_app.clock import Clock, SystemClock
from reference_app.http.upload_handler import Accept, UploadHandler
from reference_app.jobs.admission import Admission
from reference_app.jobs.events import JobEvents
from reference_app.jobs.queue import JobQueue, LocalJobQueue
from reference_app.jobs.runner import JobRunner, WorkerFactory
from reference_app.jobs.service import JobService
from reference_app.jobs.sqlite_store import SqliteJobStore
from reference_app.jobs.store import JobStore
from reference_app.logs import Logger
from reference_app.memory.guard import MemoryGuard
from reference_app.memory.reading import Limit, container_limit
from reference_app.pipeline import PipelineFactories
from reference_app.settings import MIB, Settings
from reference_app.storage.instance import InstanceFolder
from reference_app.storage.local import LocalObjectStore
from reference_app.storage.objects import ObjectStore
from reference_app.storage.scratch import Scratch
from reference_app.workers.child_main import Engine, pipeline_engine
from reference_app.workers.process import ProcessWorker
from reference_app.workers.thread import ThreadWorker

__all__ = ["ServiceFactories", "WorkerFactory"]


def make_store(settings: Settings, clock: Clock, instance: InstanceFolder) -> JobStore:
    """Jobs in a file of this service's folder."""
    del settings
    return SqliteJobStore(instance.database, clock)


def make_objects(settings: Settings, instance: InstanceFolder) -> ObjectStore:
    """Objects as files of this service's folder."""
    del settings
    return LocalObjectStore(instance.root / "objects")


def make_guard(
    settings: Settings, clock: Clock, log: Logger, worker_pids: Callable[[], Collection[int]]
) -> MemoryGuard:
    """The guard of this process and its children, under the container's limit or the plan's."""
    limit = container_limit() or Limit(settings.memory_limit_mb * MIB, "setting MEMORY_LIMIT_MB")
    return MemoryGuard(
        settings=settings, limit=limit, clock=clock, log=log, worker_pids=worker_pids
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
    store: Callable[[Settings, Clock, InstanceFolder], JobStore] = make_store
    queue: Callable[[], JobQueue] = LocalJobQueue
    objects: Callable[[Settings, InstanceFolder], ObjectStore] = make_objects
    guard: Callable[[Settings, Clock, Logger, Callable[[], Collection[int]]], MemoryGuard] = (
        make_guard
    )
    # These three take the keyword arguments of their default.
    runner: Callable[..., JobRunner] = JobRunner
    jobs: Callable[..., JobService] = JobService
    admission: Callable[..., Admission] = Admission
    upload_handler: Callable[[Settings, Scratch, Admission, Accept], UploadHandler] = UploadHandler
    workers: Callable[[Settings, Engine], WorkerFactory] = make_worker_factory
    broadcaster: Callable[[], JobEvents] = JobEvents
    pipeline: PipelineFactories = field(default_factory=PipelineFactories)
    engine: Callable[[PipelineFactories], Engine] = pipeline_engine
    log_stream: TextIO | None = None
