"""A job's record: where it stands, every lawful change of it, and what a client reads about it.

Records are immutable. A change makes a new record, which takes effect when the store has put it in
the place of the old one by compare-and-set (`update`); so two that change a job at once, in one
process or on two machines, never overwrite one another. All times are seconds on the store's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from reference_app.clock import iso
from reference_app.jobs.retry_after import JobPace

__all__ = ["Job", "State", "object_prefix"]


class State(str, Enum):
    """Where a job stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Nothing will run for this job any more."""
        return self in _FINAL


#: Bytes that the process tree held before the job and after it, where they could be read.
Memory = tuple[int | None, int | None]

_FINAL = {State.COMPLETED, State.FAILED, State.CANCELLED}
_RESTARTED = "the service was restarted"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Job:
    """One uploaded video on its way: plain data of bounded size."""

    job_id: str
    filename: str
    size_bytes: int
    created_at: float
    state_changed_at: float
    status: State = State.PENDING
    # Counts the changes of this record: compare-and-set goes by it.
    version: int = 0
    # How often a worker has taken this job; what it writes lies under this number.
    attempt: int = 0
    owner: str | None = None
    lease_until: float | None = None
    cancel_requested: bool = False
    progress: float = 0.0
    message: str = "Waiting for a worker."
    error: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    # Time and share of this attempt's first progress: until then a worker is being started.
    first_progress_at: float | None = None
    first_progress: float = 0.0
    summary: Mapping[str, Any] = field(default_factory=dict)
    # Kind of result ("video") to the name of its object under the prefix of the attempt.
    files: Mapping[str, str] = field(default_factory=dict)
    memory_before_bytes: int | None = None
    memory_after_bytes: int | None = None

    # -- the changes; each gives the new record, or None where it is not lawful

    def claimed(self, owner: str, now: float, lease_seconds: float) -> Job | None:
        """Taken by a worker, for as long as the lease is renewed."""
        if self.status is not State.PENDING:
            return None
        return self._moved(
            State.PROCESSING,
            now,
            attempt=self.attempt + 1,
            owner=owner,
            lease_until=now + lease_seconds,
            progress=0.0,
            first_progress_at=None,
            first_progress=0.0,
            message=self._again("Processing."),
            started_at=now,
        )

    def beaten(
        self,
        attempt: int,
        now: float,
        lease_seconds: float,
        progress: tuple[float, str] | None = None,
        memory_before_bytes: int | None = None,
    ) -> Job | None:
        """The lease renewed and the progress noted; None where this attempt no longer holds it."""
        if not self.held_by(attempt):
            return None
        changes: dict[str, Any] = {"lease_until": now + lease_seconds}
        if memory_before_bytes is not None:
            changes["memory_before_bytes"] = memory_before_bytes
        if progress is not None:
            share, message = progress
            changes |= {"progress": share, "message": self._again(message)}
            if share > 0 and self.first_progress_at is None:
                changes |= {"first_progress_at": now, "first_progress": share}
        return self._changed(**changes)

    def published(
        self,
        attempt: int,
        now: float,
        ttl_seconds: float,
        summary: Mapping[str, Any],
        files: Mapping[str, str],
        memory: Memory,
    ) -> Job | None:
        """Completed with these results; None where another attempt or a cancel came between."""
        if not self.held_by(attempt) or self.cancel_requested:
            return None
        return self._moved(
            State.COMPLETED,
            now,
            expires_at=now + ttl_seconds,
            finished_at=now,
            progress=1.0,
            message=self._again("Completed."),
            summary=summary,
            files=files,
            memory_before_bytes=memory[0],
            memory_after_bytes=memory[1],
        )

    def ended(
        self,
        attempt: int,
        now: float,
        ttl_seconds: float,
        error: str | None,
        memory: Memory = (None, None),
    ) -> Job | None:
        """Failed with a reason, or cancelled where there is none, or where a cancel was asked."""
        if not self.held_by(attempt):
            return None
        failed = error is not None and not self.cancel_requested
        return self._moved(
            State.FAILED if failed else State.CANCELLED,
            now,
            expires_at=now + ttl_seconds,
            finished_at=now,
            message="Failed." if failed else "Cancelled.",
            error=error if failed else None,
            memory_before_bytes=memory[0],
            memory_after_bytes=memory[1],
        )

    def requeued(
        self, attempt: int, now: float, ttl_seconds: float, max_attempts: int
    ) -> Job | None:
        """Back in its place in the queue; after `max_attempts` it has failed instead.

        A job that was cancelled meanwhile is not run again.
        """
        if not self.held_by(attempt):
            return None
        if self.cancel_requested:
            return self.ended(attempt, now, ttl_seconds, None)
        if attempt >= max_attempts:
            return self.ended(
                attempt,
                now,
                ttl_seconds,
                f"The service ended {attempt} times while this job was running; "
                "it is not tried again.",
            )
        return self._moved(
            State.PENDING,
            now,
            progress=0.0,
            message=f"Waiting to run again: {_RESTARTED} while this job was running.",
        )

    def cancelled(self, now: float, ttl_seconds: float, message: str) -> Job | None:
        """Cancelled at once, or marked for its worker to stop where it is running.

        A completed job loses its results. None where it failed or was cancelled before.
        """
        if self.status is State.PROCESSING:
            return self if self.cancel_requested else self._changed(cancel_requested=True)
        if self.status not in (State.PENDING, State.COMPLETED):
            return None
        return self._moved(
            State.CANCELLED,
            now,
            expires_at=now + ttl_seconds,
            finished_at=self.finished_at or now,
            message=message,
            files={},
        )

    # -- what can be asked of it

    def held_by(self, attempt: int) -> bool:
        """Whether this attempt is the one that runs; what another one does counts for nothing."""
        return self.status is State.PROCESSING and self.attempt == attempt

    def is_over(self, now: float) -> bool:
        """Whether its time has come to be forgotten."""
        return self.status.final and self.expires_at is not None and now >= self.expires_at

    def keeps(self, attempt: int) -> bool:
        """Whether the objects of an attempt are still wanted; number 0 is the upload."""
        if self.status in (State.PENDING, State.PROCESSING):
            return attempt in (0, self.attempt)
        return self.status is State.COMPLETED and attempt == self.attempt

    def pace(self, now: float) -> JobPace:
        """How the running job gets on at this moment; its last change of state was its start."""
        since = now if self.first_progress_at is None else self.first_progress_at
        first = self.progress if self.first_progress_at is None else self.first_progress
        return JobPace(
            now - self.state_changed_at, now - since, self.progress - first, self.progress
        )

    def view(self, queue_position: int | None = None) -> dict[str, Any]:
        """What a client reads about this job."""
        return {
            "job_id": self.job_id,
            "status": self.status.value,
            "progress": round(self.progress, 3),
            "message": self.message,
            "error": self.error,
            "queue_position": queue_position,
            "filename": self.filename,
            "size_bytes": self.size_bytes,
            "created_at": iso(self.created_at),
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
            "trimmed": bool(self.summary.get("trimmed", False)),
            "summary": dict(self.summary) or None,
            "memory_before_bytes": self.memory_before_bytes,
            "memory_after_bytes": self.memory_after_bytes,
            "downloads": {name: f"/api/download/{self.job_id}/{name}" for name in self.files},
        }

    def _again(self, message: str) -> str:
        """The message, with the attempt where it is not the first."""
        # In `claimed` the record still has the number of the attempt before.
        attempt = self.attempt + (self.status is State.PENDING)
        return message if attempt <= 1 else f"{message} (Attempt {attempt}: {_RESTARTED}.)"

    def _moved(self, status: State, now: float, **changes: Any) -> Job:
        held = {} if status is State.PROCESSING else {"owner": None, "lease_until": None}
        return self._changed(status=status, state_changed_at=now, **held, **changes)

    def _changed(self, **changes: Any) -> Job:
        return replace(self, version=self.version + 1, **changes)


def object_prefix(job_id: str, attempt: int | None = None) -> str:
    """The prefix of the objects of a job, or of one attempt; number 0 is the upload."""
    return f"jobs/{job_id}/" if attempt is None else f"jobs/{job_id}/{attempt}/"
