"""Where jobs are recorded: what every store promises, and the one in this process's memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from reference_app.clock import Clock
from reference_app.instances import Instance
from reference_app.jobs.model import Job, State

__all__ = ["Heard", "JobChange", "JobStore", "MemoryJobStore", "PlaceLost", "update"]


class PlaceLost(Exception):
    """An upload has no place in the queue any more: its service gave no sign of life too long."""


@dataclass(frozen=True)
class JobChange:
    """The notification of a job's record that has just changed."""

    job_id: str
    #: The state that it has now, or `removed`.
    status: str
    cancel_requested: bool


#: Called with every change of a record; with None where some may have been missed.
Heard = Callable[[JobChange | None], None]


class JobStore(Protocol):
    """The records of jobs, and with them the queue: pending jobs wait in order of arrival.

    Ids and plain data only, so that the records may lie on another machine. Each call takes effect
    as a whole or not at all. There is one clock, the store's own: `now`.
    """

    async def open(self) -> None:
        """Make it ready; raises `StartupError` where what is there cannot be used."""

    async def close(self) -> None:
        """Give back what it holds; a second call does nothing."""

    def watch(self, heard: Heard) -> None:
        """Call this from `open` on with every change of a record, whoever makes it.

        A store that only this process changes need not: who changes a record notifies the others.
        """

    async def now(self) -> float:
        """Seconds since the epoch on the store's clock, the only one that counts."""

    async def reserve(self, job_id: str, owner: str, max_pending: int) -> bool:
        """Take a place in the queue for an upload under way; False where the queue is full.

        Jobs that wait and uploads under way count together.
        """

    async def unreserve(self, job_id: str) -> None:
        """Give the place of an upload back, if it still has one."""

    async def add(self, job_id: str, filename: str, size_bytes: int) -> Job:
        """Queue a new job at the end; it takes the place that was reserved under its id.

        Raises `PlaceLost` where there is no such place.
        """

    async def get(self, job_id: str) -> Job | None:
        """The record of that id; None where there is none, or its time is over."""

    async def all(self) -> list[Job]:
        """Every record in order of arrival, those whose time is over too."""

    async def reservations(self) -> set[str]:
        """The ids of the uploads under way."""

    async def count(self) -> dict[str, int]:
        """How many records stand in each state, absent states included."""

    async def position(self, job_id: str) -> int | None:
        """The place in the queue, from 1; None for what does not wait."""

    async def claim(self, owner: str, lease_seconds: float, max_processing: int) -> Job | None:
        """Give the first that waits to this owner; None where none waits or all places are taken.

        `max_processing` is a limit of the whole service: the jobs of all owners count.
        """

    async def replace(self, old: Job, new: Job) -> bool:
        """Put `new` in the place of `old`; False, and no change, where that is no longer there."""

    async def remove(self, job_id: str) -> Job | None:
        """Forget a record; gives what it was, or None where there was none."""

    async def lapsed(self, owner: str, running: Collection[str] = ()) -> list[Job]:
        """Running jobs whose lease ran out, without those that this owner is working on itself."""

    async def remove_expired(self) -> list[Job]:
        """Forget the records whose time is over; gives what they were."""

    async def beat(self, instance: Instance, uploads: Collection[str] = ()) -> None:
        """Note that this process lives, and that these uploads of it are under way."""

    async def leave(self, owner: str) -> None:
        """Forget a process that ends, and the places of its uploads."""

    async def instances(self) -> list[Instance]:
        """The processes of the service that gave a sign of life lately."""

    async def take_turn(self, name: str, owner: str, seconds: float) -> bool:
        """Whether this owner may do what only one does at a time; others may not for so long."""


async def update(
    store: JobStore, job_id: str, change: Callable[[Job, float], Job | None]
) -> Job | None:
    """JobChange a record by compare-and-set; None where there is none, or `change` gives None.

    `change(record, now)` may be called again, with a newer record.
    """
    while (job := await store.get(job_id)) is not None:
        new = change(job, await store.now())
        if new is None or new is job or await store.replace(job, new):
            return new
    return None


class MemoryJobStore:
    """Records in this process's memory: they end with it."""

    def __init__(self, clock: Clock) -> None:
        self._offset = clock.wall() - clock.monotonic()
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._reservations: dict[str, str] = {}
        self._instances: dict[str, Instance] = {}

    async def open(self) -> None:
        """Nothing has to be made ready."""

    async def close(self) -> None:
        """Nothing is held."""

    def watch(self, heard: Heard) -> None:
        """Only this process changes anything."""

    async def now(self) -> float:
        """The clock that never jumps, set to the time of day at the start."""
        return self._now()

    async def reserve(self, job_id: str, owner: str, max_pending: int) -> bool:
        """See `JobStore`."""
        if len(self._pending()) + len(self._reservations) >= max_pending:
            return False
        self._reservations[job_id] = owner
        return True

    async def unreserve(self, job_id: str) -> None:
        """See `JobStore`."""
        self._reservations.pop(job_id, None)

    async def add(self, job_id: str, filename: str, size_bytes: int) -> Job:
        """See `JobStore`."""
        if self._reservations.pop(job_id, None) is None:
            raise PlaceLost(job_id)
        now = self._now()
        job = Job(job_id, filename, size_bytes, created_at=now, state_changed_at=now)
        self._jobs[job_id] = job
        return job

    async def get(self, job_id: str) -> Job | None:
        """See `JobStore`."""
        job = self._jobs.get(job_id)
        return None if job is None or job.is_over(self._now()) else job

    async def all(self) -> list[Job]:
        """See `JobStore`."""
        return list(self._jobs.values())

    async def reservations(self) -> set[str]:
        """See `JobStore`."""
        return set(self._reservations)

    async def count(self) -> dict[str, int]:
        """See `JobStore`."""
        return self.count_now()

    def count_now(self) -> dict[str, int]:
        """`count` for a caller that cannot wait in the service's loop."""
        found = Counter(job.status for job in self._jobs.values())
        return {state.value: found[state] for state in State}

    async def position(self, job_id: str) -> int | None:
        """See `JobStore`."""
        ids = [job.job_id for job in self._pending()]
        return ids.index(job_id) + 1 if job_id in ids else None

    async def claim(self, owner: str, lease_seconds: float, max_processing: int) -> Job | None:
        """See `JobStore`."""
        running = sum(job.status is State.PROCESSING for job in self._jobs.values())
        first = next(iter(self._pending()), None)
        if first is None or running >= max_processing:
            return None
        claimed = first.claimed(owner, self._now(), lease_seconds)
        assert claimed is not None
        self._jobs[first.job_id] = claimed
        return claimed

    async def replace(self, old: Job, new: Job) -> bool:
        """See `JobStore`."""
        there = self._jobs.get(old.job_id)
        if there is None or there.version != old.version:
            return False
        self._jobs[old.job_id] = new
        return True

    async def remove(self, job_id: str) -> Job | None:
        """See `JobStore`."""
        return self._jobs.pop(job_id, None)

    async def lapsed(self, owner: str, running: Collection[str] = ()) -> list[Job]:
        """See `JobStore`."""
        now = self._now()
        return [
            job
            for job in self._jobs.values()
            if job.status is State.PROCESSING
            and not (job.owner == owner and job.job_id in running)
            and job.lease_until is not None
            and job.lease_until <= now
        ]

    async def remove_expired(self) -> list[Job]:
        """See `JobStore`."""
        over = [job for job in self._jobs.values() if job.is_over(self._now())]
        for job in over:
            del self._jobs[job.job_id]
        return over

    async def beat(self, instance: Instance, uploads: Collection[str] = ()) -> None:
        """See `JobStore`."""
        del uploads
        self._instances[instance.owner] = instance

    async def leave(self, owner: str) -> None:
        """See `JobStore`."""
        self._instances.pop(owner, None)
        for job_id, holder in tuple(self._reservations.items()):
            if holder == owner:
                del self._reservations[job_id]

    async def instances(self) -> list[Instance]:
        """See `JobStore`."""
        return list(self._instances.values())

    async def take_turn(self, name: str, owner: str, seconds: float) -> bool:
        """There is nobody else."""
        del name, owner, seconds
        return True

    def _now(self) -> float:
        return self._offset + self._clock.monotonic()

    def _pending(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.status is State.PENDING]
