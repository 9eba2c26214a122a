"""One running service: its factories, and what happens to a job from upload to expiry."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any

import anyio.to_thread

from reference_app.errors import NotFound
from reference_app.factories import ServiceFactories
from reference_app.http.upload import SOURCE_NAME, Upload
from reference_app.jobs.model import Job, State
from reference_app.jobs.retry_after import estimated_wait_seconds
from reference_app.logs import make_logger
from reference_app.metrics import Metrics
from reference_app.pipeline.errors import JobFailed
from reference_app.pipeline.task import Progress, Summary, Task
from reference_app.recent_errors import RecentErrors
from reference_app.settings import Settings
from reference_app.workers.process import warm_up
from reference_app.workers.worker import Stopped, Worker

__all__ = ["Service"]

_RECENT_JOBS = 20


class Service:
    """Puts the parts together and moves jobs between their states; every move passes `_move`."""

    def __init__(self, settings: Settings, factories: ServiceFactories) -> None:
        self.settings = settings
        self.log = make_logger(settings.log_level, factories.log_stream)
        self.clock = factories.clock()
        self.registry = factories.registry(settings, self.clock)
        self.artifacts = factories.artifacts(settings)
        self.broadcaster = factories.broadcaster()
        self.metrics = Metrics()
        self.errors = RecentErrors()
        self.peak_processing = 0
        self.peak_pending = 0
        # The guard asks the pool for its workers, and the pool asks the guard for room.
        self.pool = factories.pool(settings, self._has_room, self.log)
        self.guard = factories.guard(settings, self.clock, self.log, self.pool.pids)
        # A thread shares its process's memory, so nothing can limit its part of it.
        self.job_memory_bytes = (
            settings.job_memory_bytes(self.guard.limit.bytes)
            if settings.workers == "process"
            else None
        )
        self.admission = factories.admission(settings, self.pool, self.guard, self._estimated_wait)
        self._make_worker = factories.workers(settings, factories.engine(factories.pipeline))
        # The longest of these is the usual: who is told to come back too early comes in vain.
        self._recent_seconds: deque[float] = deque(maxlen=_RECENT_JOBS)
        self.upload_handler = factories.upload_handler(
            settings, self.artifacts, self.admission, self.accept
        )
        self._drain_ends = float("inf")

    async def open(self) -> None:
        """Clear what a dead run left, and begin to work."""
        removed = await anyio.to_thread.run_sync(self.artifacts.open)
        if removed:
            self.log.info("removed what a dead run left", folders=[path.name for path in removed])
        if self.settings.workers == "process":
            await anyio.to_thread.run_sync(warm_up)
        self.pool.open()
        self.log.info(
            "service started",
            memory_limit_bytes=self.guard.limit.bytes,
            memory_limit_source=self.guard.limit.source,
            job_memory_bytes=self.job_memory_bytes,
            **self.settings.model_dump(mode="json", include={"workers", "spool_dir"}),
        )
        if self.artifacts.in_memory:
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

    def begin_drain(self) -> None:
        """Take nothing new, end uploads and event streams; what runs goes on. Safe to repeat."""
        if self.admission.closed:
            return
        self.admission.closed = True
        self.pool.halt()
        self.log.info("draining", running=self.pool.running, waiting=self.pool.waiting)
        self._drain_ends = self.clock.monotonic() + self.settings.drain_seconds
        self.upload_handler.end_all()
        self.broadcaster.close()

    async def close(self) -> None:
        """Drain, and leave neither process nor file."""
        self.begin_drain()
        for job in self.registry:
            if self.pool.withdraw(job.job_id):
                await self._give_up(job, "The service is shutting down.")
        await self.pool.drain(max(0.0, self._drain_ends - self.clock.monotonic()))
        await anyio.to_thread.run_sync(self.artifacts.close)
        self.log.info("service stopped")

    def accept(self, job_id: str, upload: Upload) -> Job:
        """Queue the job of an upload that arrived whole."""
        job = Job(
            job_id=job_id,
            filename=upload.filename,
            size_bytes=upload.size_bytes,
            created_at=self.clock.wall(),
            state_changed_at=self.clock.monotonic(),
        )
        self.registry.add(job)
        try:
            self.pool.submit(job_id, partial(self._start, job), partial(self._execute, job))
            self.peak_pending = max(self.peak_pending, self.pool.waiting)
        except BaseException:
            # The client is told that it was not taken, so it must not be found here either.
            self.pool.withdraw(job_id)
            self.registry.remove(job_id)
            raise
        self.metrics.upload_taken(upload.size_bytes)
        self._tell(job)
        return job

    def find(self, job_id: str) -> Job:
        """The job of that name, or `NotFound`."""
        job = self.registry.get(job_id)
        if job is None:
            raise NotFound("There is no such job; it may have expired.")
        return job

    def view(self, job: Job) -> dict[str, Any]:
        """What a client reads about a job."""
        return job.view(self.pool.position(job.job_id))

    async def cancel(self, job: Job) -> None:
        """End a job in whatever state it is, and give back all that it holds.

        A completed job loses its files and becomes cancelled; one that failed or was cancelled
        before stays as it is.
        """
        if not self.pool.withdraw(job.job_id):
            await self.pool.stop(job.job_id)
        await self._give_up(job, "Cancelled on request.")

    async def remove(self, job: Job) -> None:
        """Forget a job with its files, now."""
        await self.cancel(job)
        self.registry.remove(job.job_id)
        await self.artifacts.discard(job.job_id)
        self.log.info("job removed", job_id=job.job_id)

    def note_error(self, kind: str, text: str) -> None:
        """Remember, for people, that something went wrong."""
        self.errors.add(self.clock.wall(), kind, text)

    async def expire(self) -> None:
        """Forget the jobs whose time is over, with their files."""
        for job in self.registry.expired():
            self.registry.remove(job.job_id)
            await self.artifacts.discard(job.job_id)
            self.log.info("job expired", job_id=job.job_id, status=job.status.value)
        await self.artifacts.sweep()

    async def _has_room(self) -> bool:
        return await self.guard.has_room()

    def _estimated_wait(self) -> int:
        now = self.clock.monotonic()
        running = [job.pace(now) for job in self.registry if job.status is State.PROCESSING]
        usual = max(self._recent_seconds, default=self.settings.assumed_job_seconds)
        return estimated_wait_seconds(running, usual)

    def _task(self, job_id: str) -> Task:
        folder = self.artifacts.folder(job_id)
        settings = self.settings
        return Task(
            source=folder / SOURCE_NAME,
            folder=folder,
            max_duration_seconds=settings.max_duration_seconds,
            frame_interval=settings.frame_interval,
            output_width=settings.output_width,
            frame_source=settings.frame_source,
            detection_mode=settings.detection_mode,
            memory_bytes=self.job_memory_bytes,
        )

    def _start(self, job: Job) -> Worker:
        """The job's worker; called in one step with leaving the queue.

        So nobody ever sees a job that neither waits in the queue nor is being processed.
        """
        self._move(job, State.PROCESSING, message="Processing.")
        return self._make_worker(self._task(job.job_id))

    async def _execute(self, job: Job, worker: Worker) -> None:
        """Run one job to its final state; never raises, never leaves it half-way."""
        self.peak_processing = max(self.peak_processing, self.pool.running)
        started = self.clock.monotonic()
        job.memory_before_bytes = await self._tree_bytes()
        try:
            summary = await self._run(job, worker)
            await anyio.to_thread.run_sync(
                self.artifacts.keep_only, job.job_id, tuple(summary.files.values())
            )
        except Stopped:
            await self._end(job, State.CANCELLED, "Cancelled.")
        except JobFailed as failure:
            await self._end(job, State.FAILED, "Failed.", error=str(failure))
        except Exception as error:
            self.log.error("job broke", job_id=job.job_id, error=repr(error))
            await self._end(job, State.FAILED, "Failed.", error="The service failed on this job.")
        else:
            self._take_results(job, summary)
            self._recent_seconds.append(self.clock.monotonic() - started)
            await self._end(job, State.COMPLETED, "Completed.")

    async def _run(self, job: Job, worker: Worker) -> Summary:
        """The worker's summary; a worker that takes too long is stopped and has failed."""
        late = asyncio.get_running_loop().call_later(self.settings.max_job_seconds, worker.stop)
        began = self.clock.monotonic()
        try:
            return await worker.run(partial(self._progress, job))
        except Stopped:
            if self.clock.monotonic() - began >= self.settings.max_job_seconds:
                raise JobFailed(
                    f"Processing took longer than {self.settings.max_job_seconds:g} s."
                ) from None
            raise
        finally:
            late.cancel()

    def _take_results(self, job: Job, summary: Summary) -> None:
        values = {name: getattr(summary, name) for name in summary.__dataclass_fields__}
        job.files = dict(values.pop("files"))
        job.trimmed = summary.trimmed
        job.summary = {**values, "notes": list(summary.notes)}

    async def _end(self, job: Job, state: State, message: str, error: str | None = None) -> None:
        """The last move: after the files, so that who sees the state sees the disk as it stays."""
        if state is not State.COMPLETED:
            await self.artifacts.discard(job.job_id)
        job.memory_after_bytes = await self._tree_bytes()
        self._move(job, state, message=message, error=error)

    async def _tree_bytes(self) -> int | None:
        """Memory for the log; a job must not break because nobody could read it."""
        try:
            return (await self.guard.read()).tree.pss
        except Exception as error:
            self.log.warning("memory could not be read", error=repr(error))
            return None

    async def _give_up(self, job: Job, message: str) -> None:
        if job.status in (State.PENDING, State.COMPLETED):
            job.files = {}
            await self.artifacts.discard(job.job_id)
            self._move(job, State.CANCELLED, message=message)

    def _progress(self, job: Job, progress: Progress) -> None:
        if job.status is State.PROCESSING:
            job.advance(progress.fraction, progress.message, self.clock)
            self._publish(job)

    def _move(self, job: Job, state: State, *, message: str, error: str | None = None) -> None:
        if not job.move(state, self.clock):
            return
        job.message, job.error = message, error
        if state is State.COMPLETED:
            job.progress = 1.0
        self._tell(job)

    def _tell(self, job: Job) -> None:
        """One log line, one event, one count for every change of state."""
        self.log.info(
            "job " + job.status.value,
            job_id=job.job_id,
            status=job.status.value,
            size_bytes=job.size_bytes,
            error=job.error,
            memory_before_bytes=job.memory_before_bytes,
            memory_after_bytes=job.memory_after_bytes,
        )
        if job.error is not None and job.status is State.FAILED:
            self.note_error("job failed", job.error)
        self.metrics.job_moved(job.status.value)
        self._publish(job, last=job.status.final)

    def _publish(self, job: Job, *, last: bool = False) -> None:
        """Tell who listens; that nobody could be told is no reason for a job to break."""
        try:
            self.broadcaster.publish(job.job_id, self.view(job), last=last)
        except Exception as error:
            self.log.error("news of a job were lost", job_id=job.job_id, error=repr(error))
