"""One running service: its parts wired together, and their common life."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from reference_app.errors import StartupError
from reference_app.factories import ServiceFactories
from reference_app.instances import Instance
from reference_app.jobs.journal import JobJournal
from reference_app.jobs.model import State
from reference_app.jobs.runner import JobRunner
from reference_app.jobs.service import JobService
from reference_app.jobs.store import JobChange
from reference_app.logs import Logger, make_logger
from reference_app.metrics import Metrics
from reference_app.pipeline.pose_model import require_model
from reference_app.recent_errors import RecentErrors
from reference_app.settings import Settings
from reference_app.storage.instance import InstanceFolder, is_in_memory
from reference_app.storage.scratch import Scratch
from reference_app.workers.process import can_start_workers, warm_up

if TYPE_CHECKING:
    from reference_app.http.upload_handler import UploadHandler

__all__ = ["ServiceContainer"]

# A process that has the turn to tidy up keeps it for so many intervals after it was last heard of.
_TURNS = 2


class ServiceContainer:
    """Makes the parts of a service, opens them in order, and closes them in the reverse one."""

    def __init__(
        self,
        settings: Settings,
        factories: ServiceFactories,
        instance: InstanceFolder,
        log: Logger,
    ) -> None:
        # Every start is an owner of its own: what another one ran is not running any more.
        owner = secrets.token_hex(8)
        self.settings = settings
        self.instance = instance
        self.log = log
        self.clock = factories.clock()
        self.metrics = Metrics()
        self.errors = RecentErrors()
        self.broadcaster = factories.broadcaster()
        self.journal = JobJournal(log, self.metrics, self.errors, self.broadcaster, self.clock)
        self.store = factories.store(settings, self.clock, instance)
        self.queue = factories.queue(settings, log)
        self.objects = factories.objects(settings, instance)
        self.scratch = Scratch(instance.root / "scratch")
        self.guard = factories.guard(settings, self.clock, log, lambda: self.runner.worker_pids())
        self.runner: JobRunner = factories.runner(
            settings=settings,
            owner=owner,
            store=self.store,
            queue=self.queue,
            objects=self.objects,
            scratch=self.scratch,
            journal=self.journal,
            guard=self.guard,
            make_worker=factories.workers(settings, factories.engine(factories.pipeline)),
            log=log,
        )
        self.jobs: JobService = factories.jobs(
            settings=settings,
            owner=owner,
            store=self.store,
            queue=self.queue,
            objects=self.objects,
            runner=self.runner,
            journal=self.journal,
            metrics=self.metrics,
            log=log,
        )
        self.admission = factories.admission(
            settings=settings,
            owner=owner,
            store=self.store,
            guard=self.guard,
            estimated_wait=self.jobs.estimated_wait,
        )
        self.upload_handler: UploadHandler | None = (
            None
            if settings.role == "worker"
            else factories.upload_handler(settings, self.scratch, self.admission, self.jobs.accept)
        )
        #: The processes of the service, as they last reported themselves.
        self.instances: list[Instance] = []
        self._owner = owner
        self._started_at = self.clock.wall()
        self._tasks: set[asyncio.Task[None]] = set()
        self._drain_ends = float("inf")
        self.store.watch(self._heard)

    @classmethod
    @asynccontextmanager
    async def started(
        cls, settings: Settings, factories: ServiceFactories
    ) -> AsyncIterator[ServiceContainer]:
        """A service that works until the block ends. Raises `StartupError` where it must not."""
        log = make_logger(settings.log_level, factories.log_stream)
        try:
            if settings.role != "api":
                require_model()
            instance = await anyio.to_thread.run_sync(
                lambda: InstanceFolder.take(
                    settings.spool_dir, allow_tmpfs=settings.allow_spool_on_tmpfs
                )
            )
            container = cls(settings, factories, instance, log)
            try:
                await container.open()
                yield container
            finally:
                await container.close()
        except StartupError as error:
            # The server prints how it came here; this line says what to do.
            log.error("the service did not start", reason=str(error))
            raise

    async def open(self) -> None:
        """Take up what an earlier run left, and begin to work."""
        await anyio.to_thread.run_sync(self.scratch.open)
        await self.objects.open()
        await self.store.open()
        await self.queue.open()
        await self.beat()
        await self._expire_jobs()
        if self.does_jobs:
            if self.settings.workers == "process":
                await anyio.to_thread.run_sync(warm_up)
            self.runner.open()
            self.queue.wake()
        self._report_start()

    @property
    def does_jobs(self) -> bool:
        """Whether this process has workers."""
        return self.settings.role != "api"

    def begin_drain(self) -> None:
        """Take nothing new, end uploads and event streams; what runs goes on. Safe to repeat."""
        if self.admission.closed:
            return
        self.admission.closed = True
        self.runner.halt()
        self.log.info("draining", running=self.runner.running)
        self._drain_ends = self.clock.monotonic() + self.settings.drain_seconds
        if self.upload_handler is not None:
            self.upload_handler.end_all()
        self.broadcaster.close()

    async def close(self) -> None:
        """Drain; leave no process, and no file but those of jobs that are still recorded."""
        self.begin_drain()
        await self.runner.drain(max(0.0, self._drain_ends - self.clock.monotonic()))
        for task in tuple(self._tasks):
            task.cancel()
        left = await self._jobs_left()
        try:
            await self.store.leave(self._owner)
        except Exception as error:
            # The others find out when the lease ends.
            self.log.warning("the other processes were not notified of the end", error=repr(error))
        await self.queue.close()
        await self.store.close()
        await self.objects.close()
        # Where jobs and objects lie elsewhere, the folder holds nothing that is needed again.
        remove = left == 0 or self.settings.scaled
        await anyio.to_thread.run_sync(lambda: self.instance.close(remove=remove))
        self.log.info("service stopped", jobs_left=left)

    async def beat(self) -> None:
        """Tell the others that this process lives, see who else does, take up what nobody does."""
        reading = self.guard.latest or await self.guard.read()
        me = Instance(
            owner=self._owner,
            role=self.settings.role,
            host=socket.gethostname(),
            started_at=self._started_at,
            running=self.runner.running,
            slots=self.runner.slots,
            memory_bytes=reading.tree.pss,
            resting_bytes=reading.resting,
            limit_bytes=self.guard.limit.bytes,
        )
        await self.store.beat(me, tuple(self.admission.held))
        self.instances = await self.store.instances()
        await self.jobs.recover()

    async def expire(self) -> None:
        """One turn of tidying up: jobs, objects, scratch files, folders that nobody holds."""
        await self.jobs.recover()
        await self._expire_jobs()
        await self.scratch.sweep()
        removed = await anyio.to_thread.run_sync(
            self.instance.remove_abandoned, self.settings.job_ttl_seconds
        )
        if removed:
            self.log.info("removed abandoned folders", folders=[path.name for path in removed])

    @asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """Signs of life, expiry and the watch over memory, until the block ends."""
        settings = self.settings
        work = [
            (settings.job_beat_seconds, self.beat),
            (settings.expiry_interval_seconds, self.expire),
            (settings.memory_interval_seconds, self.guard.watch),
        ]
        tasks = [asyncio.create_task(self.every(seconds, action)) for seconds, action in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def every(self, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        """Do something again and again; one bad turn does not end all later ones."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await action()
            except Exception as error:
                self.log.error("background work failed", error=repr(error))
                self.note_error("background work failed", repr(error))

    async def _expire_jobs(self) -> None:
        """What belongs to the whole service is tidied up by one process at a time."""
        turn = _TURNS * self.settings.expiry_interval_seconds
        if await self.store.take_turn("expire", self._owner, turn):
            await self.jobs.expire()

    async def failing(self) -> list[str]:
        """What keeps the service from taking and doing a job; empty where nothing does."""
        found = []
        if self.admission.closed:
            found.append("the service is shutting down")
        try:
            await anyio.to_thread.run_sync(self.scratch.check)
        except OSError as error:
            found.append(f"storage cannot be written ({error.strerror})")
        try:
            await self.jobs.count()
        except Exception as error:
            self.log.error("the jobs could not be counted", error=repr(error))
            found.append("the records of jobs cannot be read")
        if self.does_jobs and self.settings.workers == "process" and not can_start_workers():
            found.append("the process that starts workers is gone")
        return found

    async def queue_answers(self) -> bool:
        """Whether what announces jobs can be reached."""
        try:
            await self.queue.length()
        except Exception as error:
            self.log.error("the queue does not answer", error=repr(error))
            return False
        return True

    def note_error(self, kind: str, text: str) -> None:
        """Remember, for people, that something went wrong."""
        self.journal.failed(kind, text)

    def _heard(self, change: JobChange | None) -> None:
        """Somebody changed a record, or may have: pass it on to whom it concerns here."""
        self.runner.heard(change)
        task = asyncio.get_running_loop().create_task(self._pass_on(change))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, change: JobChange | None) -> None:
        try:
            if change is None or self._makes_work(change):
                self.queue.wake()
            for job_id in self.broadcaster.job_ids:
                if change is None or change.job_id == job_id:
                    job = await self.store.get(job_id)
                    if job is not None:
                        waits = job.status is State.PENDING
                        place = await self.store.position(job_id) if waits else None
                        self.journal.progressed(job, place)
        except Exception as error:
            self.log.error("a change was not passed on", error=repr(error))

    def _makes_work(self, change: JobChange) -> bool:
        """Whether a job may start by this: one that waits, or a place that has become free.

        Who announces jobs through a broker wakes one process by it, and this need not wake all.
        """
        if change.status == State.PENDING.value:
            return self.settings.queue_url is None
        return change.status != State.PROCESSING.value

    async def _jobs_left(self) -> int:
        """How many jobs the next start will find; -1 where nobody can tell."""
        try:
            return sum((await self.jobs.count()).values())
        except Exception as error:
            self.log.error("the jobs could not be counted", error=repr(error))
            return -1

    def _report_start(self) -> None:
        self.log.info(
            "service started",
            memory_limit_bytes=self.guard.limit.bytes,
            memory_limit_source=self.guard.limit.source,
            job_memory_bytes=self.runner.job_memory_bytes,
            folder=str(self.instance.root),
            **self.settings.model_dump(
                mode="json", include={"role", "workers", "spool_dir", "storage_url"}
            ),
        )
        if is_in_memory(self.settings.spool_dir):
            self.log.warning(
                "the spool is in memory: every file in it takes from what the limits protect",
                spool_dir=str(self.settings.spool_dir),
            )
        if self.guard.hard_bytes > self.guard.limit.bytes:
            self.log.warning(
                "the hard limit lies above what may be used at all: lower MEMORY_HARD_MB",
                hard_bytes=self.guard.hard_bytes,
                limit_bytes=self.guard.limit.bytes,
            )
