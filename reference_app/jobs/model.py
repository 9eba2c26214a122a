"""A job: where it stands, and what a client reads about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from reference_app.clock import Clock, iso
from reference_app.jobs.retry_after import JobPace

__all__ = ["Job", "State"]


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


_FINAL = {State.COMPLETED, State.FAILED, State.CANCELLED}
# A completed job can still be cancelled: its files are given back.
_MOVES = {
    State.PENDING: {State.PROCESSING, State.FAILED, State.CANCELLED},
    State.PROCESSING: {State.COMPLETED, State.FAILED, State.CANCELLED},
    State.COMPLETED: {State.CANCELLED},
    State.FAILED: set(),
    State.CANCELLED: set(),
}


@dataclass(eq=False, slots=True, weakref_slot=True)
class Job:
    """One uploaded video on its way: plain data, of bounded size, changed in few places."""

    job_id: str
    filename: str
    size_bytes: int
    created_at: float
    # Steady time of the last change of state: expiry counts from here.
    state_changed_at: float
    status: State = State.PENDING
    progress: float = 0.0
    message: str = "Waiting for a worker."
    error: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    # Steady time and share of the first progress: until then a worker is being started.
    first_progress: tuple[float, float] | None = None
    trimmed: bool = False
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    memory_before_bytes: int | None = None
    memory_after_bytes: int | None = None

    def move(self, state: State, clock: Clock) -> bool:
        """Go to `state` if that is a lawful step; False, and no change, if it is not."""
        if state not in _MOVES[self.status]:
            return False
        self.status = state
        self.state_changed_at = clock.monotonic()
        if state is State.PROCESSING:
            self.started_at = clock.wall()
        elif self.finished_at is None:
            self.finished_at = clock.wall()
        return True

    def advance(self, share: float, message: str, clock: Clock) -> None:
        """Note how far the work is."""
        self.progress, self.message = share, message
        if share > 0 and self.first_progress is None:
            self.first_progress = (clock.monotonic(), share)

    def pace(self, now: float) -> JobPace:
        """How the running job gets on, at this steady time; its last change was its start."""
        since, first = self.first_progress or (now, self.progress)
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
            "trimmed": self.trimmed,
            "summary": self.summary or None,
            "memory_before_bytes": self.memory_before_bytes,
            "memory_after_bytes": self.memory_after_bytes,
            "downloads": {name: f"/api/download/{self.job_id}/{name}" for name in self.files},
        }
