"""The seam of the whole service: what each part is made by, replaceable one at a time.

Another engine (a database server, a broker, an object store), a test's clock or a seeded defect
takes the place of one factory; nothing is patched from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import anyio

from reference_app.clock import Clock, SystemClock
from reference_app.errors import StartupError
from reference_app.jobs.admission import Admission
from reference_app.jobs.events import JobEvents
from reference_app.jobs.queue import JobQueue, LocalJobQueue
from reference_app.jobs.runner import JobRunner, WorkerFactory
from reference_app.jobs.service import JobService
from reference_app.jobs.sqlite_store import SqliteJobStore
from reference_app.jobs.store import JobStore
from reference_app.logs import Logger
from reference_app.memory.guard import MemoryGuard, Reading, measure
from reference_app.memory.reading import Limit, container_limit
from reference_app.pipeline import PipelineFactories
from reference_app.settings import MIB, Settings
from reference_app.storage.instance import InstanceFolder
from reference_app.storage.local import LocalObjectStore
from reference_app.storage.objects import ObjectStore
from reference_app.workers.child_main import Engine, pipeline_engine
from reference_app.workers.process import ProcessWorker
from reference_app.workers.thread import ThreadWorker

if TYPE_CHECKING:
    from reference_app.http.upload_handler import UploadHandler

__all__ = ["ServiceFactories", "WorkerFactory"]


def make_store(settings: Settings, clock: Clock, instance: InstanceFolder) -> JobStore:
    """Jobs in the database that all processes share, or in a file of this service's folder.

    Raises `StartupError` where the database's client is not installed.
    """
    if settings.database_url is None:
        return SqliteJobStore(instance.database, clock)
    try:
        # Only who uses it pays for it.
        from reference_app.jobs.postgres_store import PostgresJobStore
    except ModuleNotFoundError as error:
        raise StartupError(f"DATABASE_URL needs the extra `scale`: {error}") from error
    return PostgresJobStore(
        settings.database_url.get_secret_value(),
        lease_seconds=settings.job_lease_seconds,
        connections=settings.database_connections,
    )


def make_queue(settings: Settings, log: Logger) -> JobQueue:
    """Hints by the broker that all processes share, or within this one.

    Raises `StartupError` where the broker's client is not installed.
    """
    if settings.queue_url is None:
        return LocalJobQueue()
    try:
        from reference_app.jobs.redis_queue import RedisJobQueue
    except ModuleNotFoundError as error:
        raise StartupError(f"QUEUE_URL needs the extra `scale`: {error}") from error
    return RedisJobQueue(
        settings.queue_url.get_secret_value(), lease_seconds=settings.job_lease_seconds, log=log
    )


def make_objects(settings: Settings, instance: InstanceFolder) -> ObjectStore:
    """Objects in the store that all processes share, or as files of this service's folder.

    Raises `StartupError` where the store's client is not installed.
    """
    if settings.storage_url is None:
        return LocalObjectStore(instance.root / "objects")
    try:
        from reference_app.storage.s3 import S3ObjectStore
    except ModuleNotFoundError as error:
        raise StartupError(f"STORAGE_URL needs the extra `scale`: {error}") from error
    return S3ObjectStore(settings.storage_url)


def make_upload_handler(*arguments: Any) -> UploadHandler:
    """What takes uploads in; only a process that does so loads the web framework for it."""
    from reference_app.http.upload_handler import UploadHandler

    return UploadHandler(*arguments)


def make_guard(
    settings: Settings,
    clock: Clock,
    log: Logger,
    worker_pids: Callable[[], Collection[int]],
    measure: Callable[[Callable[[], Collection[int]]], Reading] = measure,
) -> MemoryGuard:
    """The guard of this process and its children, under the container's limit or the plan's."""
    limit = container_limit() or Limit(settings.memory_limit_mb * MIB, "setting MEMORY_LIMIT_MB")
    return MemoryGuard(
        settings=settings,
        limit=limit,
        clock=clock,
        log=log,
        worker_pids=worker_pids,
        measure=measure,
    )


def make_worker_factory(settings: Settings, engine: Engine) -> WorkerFactory:
    """Workers as processes, or as threads where the settings say so."""
    if settings.workers == "thread":
        limiter = anyio.CapacityLimiter(max(1, settings.slots))
        return lambda task: ThreadWorker(engine, task, limiter)
    return lambda task: ProcessWorker(engine, task, niceness=settings.worker_niceness)


@dataclass(frozen=True)
class ServiceFactories:
    """What a service is put together from. `pipeline` and `engine` travel to worker processes."""

    clock: Callable[[], Clock] = SystemClock
    store: Callable[[Settings, Clock, InstanceFolder], JobStore] = make_store
    queue: Callable[[Settings, Logger], JobQueue] = make_queue
    objects: Callable[[Settings, InstanceFolder], ObjectStore] = make_objects
    guard: Callable[[Settings, Clock, Logger, Callable[[], Collection[int]]], MemoryGuard] = (
        make_guard
    )
    # These three take the keyword arguments of their default.
    runner: Callable[..., JobRunner] = JobRunner
    jobs: Callable[..., JobService] = JobService
    admission: Callable[..., Admission] = Admission
    # Takes the arguments of `UploadHandler`.
    upload_handler: Callable[..., UploadHandler] = make_upload_handler
    workers: Callable[[Settings, Engine], WorkerFactory] = make_worker_factory
    broadcaster: Callable[[], JobEvents] = JobEvents
    pipeline: PipelineFactories = field(default_factory=PipelineFactories)
    engine: Callable[[PipelineFactories], Engine] = pipeline_engine
    log_stream: TextIO | None = None
