"""One log line, one count and one event for every change of a job's state."""

from __future__ import annotations

import asyncio

from reference_app.clock import Clock
from reference_app.jobs.events import JobEvents
from reference_app.jobs.model import Job, State
from reference_app.logs import Logger
from reference_app.metrics import Metrics
from reference_app.recent_errors import RecentErrors

__all__ = ["JobJournal"]


class JobJournal:
    """Reports changes that are already in the store: to log, metrics, dashboard and listeners."""

    def __init__(
        self,
        log: Logger,
        metrics: Metrics,
        errors: RecentErrors,
        broadcaster: JobEvents,
        clock: Clock,
    ) -> None:
        #: Held while a job comes into the queue or leaves it, so that the log has both in order.
        self.order_lock = asyncio.Lock()
        self._log = log
        self._metrics = metrics
        self._errors = errors
        self._broadcaster = broadcaster
        self._clock = clock

    def moved(self, job: Job, queue_position: int | None = None) -> None:
        """Report that a job has reached a state."""
        self._log.info(
            "job " + job.status.value,
            job_id=job.job_id,
            status=job.status.value,
            attempt=job.attempt,
            size_bytes=job.size_bytes,
            error=job.error,
            memory_before_bytes=job.memory_before_bytes,
            memory_after_bytes=job.memory_after_bytes,
        )
        if job.error is not None and job.status is State.FAILED:
            self.failed("job failed", job.error)
        self._metrics.job_moved(job.status.value)
        self.progressed(job, queue_position)

    def progressed(self, job: Job, queue_position: int | None = None) -> None:
        """Send a job's view to its listeners; a failure is logged and never ends the job."""
        try:
            view = job.view(queue_position)
            self._broadcaster.publish(job.job_id, view, version=job.version, last=job.status.final)
        except Exception as error:
            self._log.error("an event of a job was lost", job_id=job.job_id, error=repr(error))

    def failed(self, kind: str, text: str) -> None:
        """Report an error to the dashboard."""
        self._errors.add(self._clock.wall(), kind, text)
