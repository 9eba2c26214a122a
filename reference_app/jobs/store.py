"""The registry that holds jobs until they expire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reference_app.clock import Clock
from reference_app.jobs.model import Job, State

__all__ = ["JobRegistry"]


class JobRegistry:
    """The jobs that the service knows, in order of arrival.

    Final jobs stay for `ttl_seconds` after their last change; `expired` names those whose time is
    over. The registry forgets only on `remove`, since files have to go with a job.
    """

    def __init__(self, ttl_seconds: float, clock: Clock) -> None:
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._jobs: dict[str, Job] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._jobs.values()))

    def add(self, job: Job) -> None:
        """Take a new job in."""
        self._jobs[job.job_id] = job

    def get(self, job_id: str) -> Job | None:
        """The job of that name, unless it is unknown or past its time."""
        job = self._jobs.get(job_id)
        return None if job is None or self._is_over(job) else job

    def remove(self, job_id: str) -> Job | None:
        """Forget a job."""
        return self._jobs.pop(job_id, None)

    def expired(self) -> tuple[Job, ...]:
        """The jobs that are to be removed now."""
        return tuple(job for job in self._jobs.values() if self._is_over(job))

    def count(self) -> dict[str, int]:
        """How many jobs stand in each state, absent states included."""
        found = Counter(job.status for job in self._jobs.values())
        return {state.value: found[state] for state in State}

    def _is_over(self, job: Job) -> bool:
        return (
            job.status.final and self._clock.monotonic() - job.state_changed_at >= self._ttl_seconds
        )
