"""What can be asked about jobs: accept, find, list, cancel, remove, expire."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio

from reference_app.errors import Busy, NotFound
from reference_app.jobs.journal import JobJournal
from reference_app.jobs.model import Job, State, object_prefix
from reference_app.jobs.queue import JobQueue
from reference_app.jobs.retry_after import estimated_wait_seconds
from reference_app.jobs.runner import INPUT_NAME, JobRunner
from reference_app.jobs.store import JobStore, PlaceLost, update
from reference_app.logs import Logger
from reference_app.metrics import Metrics
from reference_app.settings import Settings
from reference_app.storage.objects import ObjectStore

__all__ = ["JobService"]

_RECENT_JOBS = 20
# A process that runs a job on another machine is notified of a cancel at once; where it has not
# answered after so long, the answer says that the job still runs.
_CANCEL_SECONDS = 5.0
_CANCEL_LOOK_SECONDS = 0.1


class JobService:
    """The use cases of jobs, over their records, their objects and what runs here."""

    def __init__(
        self,
        *,
        settings: Settings,
        owner: str,
        store: JobStore,
        queue: JobQueue,
        objects: ObjectStore,
        runner: JobRunner,
        journal: JobJournal,
        metrics: Metrics,
        log: Logger,
    ) -> None:
        self.peak_pending = 0
        self._settings = settings
        self._owner = owner
        self._store = store
        self._queue = queue
        self._objects = objects
        self._runner = runner
        self._journal = journal
        self._metrics = metrics
        self._log = log

    async def accept(
        self, job_id: str, filename: str, size_bytes: int, source: Path
    ) -> dict[str, Any]:
        """Queue the job of an upload that arrived whole; gives what a client reads about it.

        Its place was reserved under this id. The file is taken over. On any failure nothing of
        the job stays behind.
        """
        try:
            await self._objects.put_file(object_prefix(job_id, 0) + INPUT_NAME, source)
            async with self._journal.order_lock:
                try:
                    job = await self._store.add(job_id, filename, size_bytes)
                except PlaceLost:
                    raise Busy(
                        "The upload lost its place in the queue; send it again.",
                        reason="place lost",
                        retry_after_seconds=1,
                    ) from None
                pending = (await self._store.count())["pending"]
                self.peak_pending = max(self.peak_pending, pending)
                position = await self._store.position(job_id)
                self._journal.moved(job, position)
            await self._queue.put(job_id)
        except BaseException:
            # The answer says that it was not taken, so it must not be found here either.
            with anyio.CancelScope(shield=True):
                await self._forget(job_id)
            raise
        self._metrics.upload_taken(size_bytes)
        return job.view(position)

    async def find(self, job_id: str) -> Job:
        """The job of that name, or `NotFound`."""
        job = await self._store.get(job_id)
        if job is None:
            raise NotFound("There is no such job; it may have expired.")
        return job

    async def view(self, job: Job) -> dict[str, Any]:
        """What a client reads about a job."""
        waits = job.status is State.PENDING
        return job.view(await self._store.position(job.job_id) if waits else None)

    async def views(self) -> list[dict[str, Any]]:
        """What a client reads about all jobs, in order of arrival."""
        now = await self._store.now()
        views, place = [], 0
        for job in await self._store.all():
            if not job.is_over(now):
                place += job.status is State.PENDING
                views.append(job.view(place if job.status is State.PENDING else None))
        return views

    async def count(self) -> dict[str, int]:
        """How many jobs stand in each state."""
        return await self._store.count()

    async def estimated_wait(self) -> int:
        """Seconds after which a client that found the queue full should come back."""
        now = await self._store.now()
        jobs = await self._store.all()
        running = [job.pace(now) for job in jobs if job.status is State.PROCESSING]
        return estimated_wait_seconds(running, self._runner.usual_seconds or self._usual(jobs))

    def _usual(self, jobs: list[Job]) -> float:
        """How long jobs that others did have taken, the longest of the last ones."""
        ended = [(job.finished_at, job.started_at) for job in jobs if job.status is State.COMPLETED]
        ended = sorted(ended, key=lambda pair: pair[0] or 0.0)[-_RECENT_JOBS:]
        taken = [end - start for end, start in ended if end is not None and start is not None]
        return max(taken, default=self._settings.assumed_job_seconds)

    async def cancel(self, job_id: str) -> Job:
        """End a job in whatever state it is, and give back all that it holds; gives its record.

        A completed job loses its files and becomes cancelled; one that failed or was cancelled
        before stays as it is. Raises `NotFound`.
        """
        job = await update(
            self._store,
            job_id,
            lambda one, now: one.cancelled(
                now, self._settings.job_ttl_seconds, "Cancelled on request."
            ),
        )
        if job is not None and job.status is State.PROCESSING:
            await self._stop(job_id)
        elif job is not None:
            await self._delete(job_id)
            self._journal.moved(job)
        return await self.find(job_id)

    async def remove(self, job_id: str) -> None:
        """Forget a job with its files, now; one that runs is cancelled first. Raises `NotFound`."""
        await self.cancel(job_id)
        await self._store.remove(job_id)
        await self._delete(job_id)
        self._log.info("job removed", job_id=job_id)

    async def recover(self) -> None:
        """Put jobs that nobody works on any more back into their place in the queue."""
        settings = self._settings
        for lapsed in await self._store.lapsed(self._owner, self._runner.job_ids):
            job = await update(
                self._store,
                lapsed.job_id,
                lambda one, now, attempt=lapsed.attempt: one.requeued(  # type: ignore[misc]
                    attempt, now, settings.job_ttl_seconds, settings.max_job_attempts
                ),
            )
            if job is not None:
                self._journal.moved(job)
                await self._queue.put(job.job_id)

    async def expire(self) -> None:
        """Forget the jobs whose time is over; then delete all objects that no record wants.

        Before, announce again what waits and whose announcement was lost.
        """
        await self._announce_again()
        for job in await self._store.remove_expired():
            self._log.info("job expired", job_id=job.job_id, status=job.status.value)
        await self.sweep()

    async def sweep(self) -> None:
        """Delete the objects of jobs that are not recorded, and of attempts that count no more."""
        # Keys before both: whatever is stored was reserved or recorded earlier.
        keys = await self._objects.keys("jobs/")
        if not keys:
            return
        # Reservations before records: an upload that becomes a job meanwhile is in one of the two.
        uploading = await self._store.reservations()
        jobs = {job.job_id: job for job in await self._store.all()}
        for job_id, attempt in sorted({_owner_of(key) for key in keys}):
            job = jobs.get(job_id)
            if job_id not in uploading and (job is None or not job.keeps(attempt)):
                await self._delete(job_id, attempt)

    async def _announce_again(self) -> None:
        """As many jobs as wait are announced; it does not matter which, for the first is taken."""
        try:
            announced = await self._queue.length()
        except Exception as error:
            self._log.warning("the queue's length is not known", error=repr(error))
            return
        if announced is not None:
            waiting = [job for job in await self._store.all() if job.status is State.PENDING]
            for job in waiting[announced:]:
                await self._queue.put(job.job_id)

    async def _forget(self, job_id: str) -> None:
        """Nothing of an upload that could not be queued stays behind."""
        job = await update(
            self._store, job_id, lambda one, now: one.cancelled(now, 0.0, "Not accepted.")
        )
        if job is not None and job.status is State.PROCESSING:
            await self._stop(job_id)
        try:
            await self._store.remove(job_id)
        finally:
            await self._delete(job_id)

    async def _stop(self, job_id: str) -> None:
        # A job that has just been claimed is known to the runner when this lock is free.
        async with self._journal.order_lock:
            pass
        if job_id in self._runner.job_ids:
            await self._runner.stop(job_id)
        elif self._settings.scaled:
            await self._until_stopped(job_id)

    async def _until_stopped(self, job_id: str) -> None:
        """Wait until another process has stopped a job that was cancelled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CANCEL_SECONDS):
                while (job := await self._store.get(job_id)) is not None:
                    if job.status is not State.PROCESSING:
                        return
                    await asyncio.sleep(_CANCEL_LOOK_SECONDS)

    async def _delete(self, job_id: str, attempt: int | None = None) -> None:
        """Delete objects; what cannot be deleted now is found by the sweep."""
        prefix = object_prefix(job_id, attempt)
        try:
            with anyio.CancelScope(shield=True):
                await self._objects.delete_prefix(prefix)
        except Exception as error:
            self._log.warning("objects were not deleted", prefix=prefix, error=repr(error))


def _owner_of(key: str) -> tuple[str, int]:
    _, job_id, attempt, _ = key.split("/", 3)
    return job_id, int(attempt)
