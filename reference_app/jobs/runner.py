"""Takes jobs from the queue and sees each through: claim, work, results, final state."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeVar

import anyio

from reference_app.jobs.journal import JobJournal
from reference_app.jobs.model import Job, State, object_prefix
from reference_app.jobs.queue import JobQueue
from reference_app.jobs.store import JobChange, JobStore, update
from reference_app.logs import Logger
from reference_app.memory.guard import MemoryGuard
from reference_app.pipeline.errors import JobFailed
from reference_app.pipeline.task import Progress, Summary, Task
from reference_app.settings import Settings
from reference_app.storage.objects import ObjectStore
from reference_app.storage.scratch import Scratch
from reference_app.workers.worker import Stopped, Worker

__all__ = ["INPUT_NAME", "JobRunner", "Run", "WorkerFactory"]

WorkerFactory = Callable[[Task], Worker]

#: The name of the upload's object, and of the file that a worker reads.
INPUT_NAME = "source"
_RECENT_JOBS = 20
_NO_ROOM = "There was no room on the disk for this job."
# The longest pause between two tries to record a change, in pauses of the queue.
_MOST_PAUSES = 16

Result = TypeVar("Result")


class _Stop(Enum):
    """Why a worker was stopped."""

    CANCEL = "cancel"
    LATE = "late"
    # The record says that this attempt is not the one that counts any more.
    FENCED = "fenced"
    SHUTDOWN = "shutdown"


@dataclass(eq=False)
class Run:
    """A job on its way here."""

    job: Job
    task: asyncio.Task[None] | None = None
    worker: Worker | None = None
    stop: _Stop | None = None
    progress: Progress | None = None
    memory_before_bytes: int | None = None
    # Set when there is something to write into the record before the next beat is due.
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    # When the progress was recorded last, on the loop's clock, and when it will be again.
    recorded_at: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def recorded(self) -> None:
        """The progress so far is being recorded."""
        self.recorded_at = asyncio.get_running_loop().time()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def end(self, reason: _Stop) -> None:
        """Stop the worker, for the first reason that is given."""
        self.stop = self.stop or reason
        if self.worker is not None:
            self.worker.stop()


class JobRunner:
    """First come, first served, `max_processing` at a time.

    What a job writes counts only where its record still names this attempt when it is published.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        owner: str,
        store: JobStore,
        queue: JobQueue,
        objects: ObjectStore,
        scratch: Scratch,
        journal: JobJournal,
        guard: MemoryGuard,
        make_worker: WorkerFactory,
        log: Logger,
    ) -> None:
        self.peak_running = 0
        # A thread shares its process's memory, so nothing can limit its part of it.
        self.job_memory_bytes = (
            settings.job_memory_bytes(guard.limit.bytes) if settings.workers == "process" else None
        )
        self.slots = settings.slots
        self._settings = settings
        self._owner = owner
        self._store = store
        self._queue = queue
        self._objects = objects
        self._scratch = scratch
        self._journal = journal
        self._guard = guard
        self._make_worker = make_worker
        self._log = log
        self._runs: dict[str, Run] = {}
        self._recent_seconds: deque[float] = deque(maxlen=_RECENT_JOBS)
        self._halted = False
        self._closing = False
        self._dispatcher: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to take jobs."""
        self._dispatcher = asyncio.create_task(self._dispatch(), name="dispatcher")

    @property
    def running(self) -> int:
        """How many jobs are on their way here."""
        return len(self._runs)

    @property
    def job_ids(self) -> frozenset[str]:
        """The jobs that are on their way here."""
        return frozenset(self._runs)

    @property
    def usual_seconds(self) -> float | None:
        """How long a job takes: the longest of the last ones here; None before the first.

        The longest, because a client that comes back too early is refused again.
        """
        return max(self._recent_seconds, default=None)

    def worker_pids(self) -> tuple[int, ...]:
        """The processes that work right now."""
        workers = [run.worker for run in tuple(self._runs.values()) if run.worker is not None]
        return tuple(pid for worker in workers if (pid := worker.pid) is not None)

    async def stop(self, job_id: str) -> None:
        """Stop a job that was cancelled; returns when all that it held here is given back."""
        if (run := self._runs.get(job_id)) is not None:
            run.end(_Stop.CANCEL)
            if run.task is not None:
                await asyncio.wait({run.task})

    def heard(self, change: JobChange | None) -> None:
        """Look at the record of a run that somebody else may have ended; None is any of them."""
        for job_id, run in self._runs.items():
            is_this = change is not None and job_id == change.job_id
            if change is None or (
                is_this and (change.cancel_requested or change.status != State.PROCESSING.value)
            ):
                run.changed.set()

    def halt(self) -> None:
        """Take nothing more; what runs goes on."""
        self._halted = True
        # Who waits for an announcement leaves it to others from here on.
        self._queue.wake()

    async def drain(self, seconds: float) -> None:
        """Take nothing more, let what runs finish for so long, then put it back into the queue."""
        self.halt()
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.wait({self._dispatcher})
            self._dispatcher = None
        tasks = {run.task for run in self._runs.values() if run.task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        self._closing = True
        for run in tuple(self._runs.values()):
            run.end(_Stop.SHUTDOWN)
        if tasks := {run.task for run in self._runs.values() if run.task is not None}:
            await asyncio.wait(tasks)

    # -- taking jobs

    async def _dispatch(self) -> None:
        while True:
            await self._queue.wait(self._settings.queue_poll_seconds, take=self._may_start())
            try:
                while await self._start_next():
                    pass
            except Exception as error:
                # The dispatcher must live on: without it every job would wait for ever.
                self._log.error("cannot tell whether work may start", error=repr(error))
                await asyncio.sleep(self._settings.queue_pause_seconds)
                self._queue.wake()

    async def _start_next(self) -> bool:
        """Start the first that waits; False where nothing can be started now."""
        if not self._may_start():
            return False
        counts = await self._store.count()
        if not counts["pending"]:
            return False
        if not await self._guard.has_room():
            await asyncio.sleep(self._settings.queue_pause_seconds)
            return True
        # The service may have begun to drain while the memory was read.
        if not self._may_start():
            return False
        async with self._journal.order_lock:
            job = await self._store.claim(
                self._owner, self._settings.job_lease_seconds, self._settings.max_processing
            )
            if job is None:
                return False
            run = self._runs[job.job_id] = Run(job)
            run.task = asyncio.create_task(self._see_through(run), name=f"job-{job.job_id}")
            self.peak_running = max(self.peak_running, len(self._runs))
            self._journal.moved(job)
        return True

    def _may_start(self) -> bool:
        return not self._halted and len(self._runs) < self.slots

    # -- one job

    async def _see_through(self, run: Run) -> None:
        """Run a job to its final state, or back into the queue; never leaves it half-way."""
        job = run.job
        try:
            await self._work(run)
        except Exception as error:
            self._log.error("job broke", job_id=job.job_id, error=repr(error))
            await self._end(run, _reason(error))
        finally:
            self.give_back(run)
            self._queue.wake()

    def give_back(self, run: Run) -> None:
        """Free the place of a job that has ended."""
        del self._runs[run.job.job_id]

    async def _work(self, run: Run) -> None:
        job = run.job
        run.memory_before_bytes = await self._tree_bytes()
        beating = asyncio.create_task(self._beat(run), name=f"beat-{job.job_id}")
        error: str | None = None
        summary: Summary | None = None
        started = asyncio.get_running_loop().time()
        try:
            summary = await self._produce(run)
        except Stopped:
            pass
        except JobFailed as failure:
            error = str(failure)
        except Exception as failure:
            self._log.error("job broke", job_id=job.job_id, error=repr(failure))
            error = _reason(failure)
        finally:
            beating.cancel()
            run.recorded()
            await asyncio.wait({beating})
            await self._scratch.discard(_scratch_name(job))
        if run.stop is _Stop.LATE:
            error = f"Processing took longer than {self._settings.max_job_seconds:g} s."
        if summary is not None and await self._publish(run, summary):
            self._recent_seconds.append(asyncio.get_running_loop().time() - started)
        elif run.stop is _Stop.SHUTDOWN and error is None:
            await self._requeue(run)
        else:
            await self._end(run, error)

    async def _produce(self, run: Run) -> Summary:
        """The worker's summary, once its results lie in the store of objects."""
        job = run.job
        folder = self._scratch.create(_scratch_name(job))
        await self._objects.fetch(object_prefix(job.job_id, 0) + INPUT_NAME, folder / INPUT_NAME)
        run.worker = self._make_worker(self._task(folder))
        if run.stop is not None:
            raise Stopped
        timer = asyncio.get_running_loop().call_later(
            self._settings.max_job_seconds, run.end, _Stop.LATE
        )
        try:
            summary = await run.worker.run(lambda progress: self._note(run, progress))
        finally:
            timer.cancel()
        for name in summary.files.values():
            await self._objects.put_file(
                object_prefix(job.job_id, job.attempt) + name, folder / name
            )
        return summary

    def _note(self, run: Run, progress: Progress) -> None:
        """Remember the progress; it is recorded at once, or when that is due again."""
        run.progress = progress
        loop = asyncio.get_running_loop()
        wait = run.recorded_at + self._settings.progress_seconds - loop.time()
        if wait <= 0:
            run.changed.set()
        elif run.timer is None:
            run.timer = loop.call_later(wait, run.changed.set)

    def _task(self, folder: Path) -> Task:
        settings = self._settings
        return Task(
            source=folder / INPUT_NAME,
            folder=folder,
            max_duration_seconds=settings.max_duration_seconds,
            frame_interval=settings.frame_interval,
            output_width=settings.output_width,
            frame_source=settings.frame_source,
            detection_mode=settings.detection_mode,
            max_pixels=settings.max_pixels,
            memory_bytes=self.job_memory_bytes,
            preview_seconds=settings.preview_seconds,
            batch_frames=settings.batch_frames,
            batch_format=settings.batch_format,
        )

    async def _beat(self, run: Run) -> None:
        """Renew the lease and write the progress; stop a worker whose attempt counts no more."""
        settings, job = self._settings, run.job
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.job_beat_seconds):
                    await run.changed.wait()
            run.changed.clear()
            run.recorded()
            progress = run.progress
            reported = None if progress is None else (progress.fraction, progress.message)
            try:
                record = await update(
                    self._store,
                    job.job_id,
                    lambda one, now: one.beaten(
                        job.attempt,
                        now,
                        settings.job_lease_seconds,
                        reported,  # noqa: B023
                        run.memory_before_bytes,
                    ),
                )
            except Exception as error:
                self._log.error("a lease was not renewed", job_id=job.job_id, error=repr(error))
                continue
            if record is None:
                run.end(_Stop.FENCED)
                return
            if record.cancel_requested:
                run.end(_Stop.CANCEL)
            elif reported is not None:
                self._journal.progressed(record)

    # -- the end of one job

    async def _publish(self, run: Run, summary: Summary) -> bool:
        """Make the results those of the job; False where this attempt counts no more.

        Raises `OSError` where the disk is full: the results themselves may be what fills it.
        """
        job, settings = run.job, self._settings
        values = {name: getattr(summary, name) for name in summary.__dataclass_fields__}
        files = dict(values.pop("files"))
        values["notes"] = list(summary.notes)
        memory = (run.memory_before_bytes, await self._tree_bytes())
        record = await self._written(
            lambda: update(
                self._store,
                job.job_id,
                # A commit whose answer was lost may have taken effect; only this attempt can
                # have made it.
                lambda one, now: (
                    one
                    if one.status is State.COMPLETED and one.attempt == job.attempt
                    else one.published(
                        job.attempt, now, settings.job_ttl_seconds, values, files, memory
                    )
                ),
            ),
            _raise,
        )
        if record is None:
            return False
        await self._delete(object_prefix(job.job_id, 0))
        self._journal.moved(record)
        return True

    async def _end(self, run: Run, error: str | None) -> None:
        """Failed with a reason, or cancelled; of another attempt only the objects are deleted."""
        job, settings = run.job, self._settings
        await self._delete(object_prefix(job.job_id, job.attempt))
        memory = (run.memory_before_bytes, await self._tree_bytes())
        record = await self._written(
            lambda: update(
                self._store,
                job.job_id,
                lambda one, now: one.ended(
                    job.attempt, now, settings.job_ttl_seconds, error, memory
                ),
            ),
            lambda _: self._delete_upload(job),
        )
        if record is not None:
            await self._delete(object_prefix(job.job_id))
            self._journal.moved(record)

    async def _requeue(self, run: Run) -> None:
        """Back into the queue, for the next service to run it again."""
        job, settings = run.job, self._settings
        await self._delete(object_prefix(job.job_id, job.attempt))
        record = await self._written(
            lambda: update(
                self._store,
                job.job_id,
                lambda one, now: one.requeued(
                    job.attempt, now, settings.job_ttl_seconds, settings.max_job_attempts
                ),
            )
        )
        if record is not None:
            self._journal.moved(record)
            await self._queue.put(job.job_id)

    async def _delete_upload(self, job: Job) -> None:
        """Make room for the end of a job that holds its record: its upload is not read again."""
        record = await self._store.get(job.job_id)
        if record is not None and record.held_by(job.attempt):
            await self._delete(object_prefix(job.job_id))

    async def _written(
        self,
        write: Callable[[], Awaitable[Result]],
        when_full: Callable[[Exception], Awaitable[None]] | None = None,
    ) -> Result | None:
        """Write until it is written: a job that has ended must not look as if it ran.

        `when_full` may make room on a full disk, or raise. The pauses between the tries grow to a
        limit. A service that is shutting down tries once; the next one finds the job where it was.
        """
        pause = self._settings.queue_pause_seconds
        longest = pause * _MOST_PAUSES
        while True:
            try:
                with anyio.CancelScope(shield=True):
                    return await write()
            except Exception as error:
                self._log.error("a job's end was not recorded", error=repr(error))
                if self._closing:
                    return None
                if when_full is not None and _is_full(error):
                    await when_full(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _delete(self, prefix: str) -> None:
        """Delete objects; what cannot be deleted now is found by the sweep."""
        try:
            with anyio.CancelScope(shield=True):
                await self._objects.delete_prefix(prefix)
        except Exception as error:
            self._log.warning("objects were not deleted", prefix=prefix, error=repr(error))

    async def _tree_bytes(self) -> int | None:
        """Memory for the log; a job must not break because nobody could read it."""
        try:
            return (await self._guard.read()).tree.pss
        except Exception as error:
            self._log.warning("memory could not be read", error=repr(error))
            return None


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _reason(error: Exception) -> str:
    """What the owner of a job reads where the service itself failed."""
    return _NO_ROOM if _is_full(error) else "The service failed on this job."


async def _raise(error: Exception) -> None:
    raise error


def _scratch_name(job: Job) -> str:
    return f"{job.job_id}-{job.attempt}"
