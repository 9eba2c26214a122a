"""Whether an upload may begin, decided before its body is read; its place in the queue."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from reference_app.errors import Busy
from reference_app.jobs.model import State
from reference_app.jobs.store import JobStore
from reference_app.memory.guard import MemoryGuard
from reference_app.settings import Settings

__all__ = ["Admission"]


class Admission:
    """The queue's capacity, the memory and the end of service, as one yes or one named refusal."""

    def __init__(
        self,
        *,
        settings: Settings,
        owner: str,
        store: JobStore,
        guard: MemoryGuard,
        estimated_wait: Callable[[], Awaitable[int]],
    ) -> None:
        self.uploading = 0
        #: The uploads that hold a place in the queue.
        self.held: set[str] = set()
        self.closed = False
        self._settings = settings
        self._owner = owner
        self._store = store
        self._guard = guard
        self._estimated_wait = estimated_wait

    async def check(self) -> None:
        """Raise `Busy` where there is no place now; takes none."""
        self.check_open()
        counts, reserved = await self._store.count(), await self._store.reservations()
        if counts[State.PENDING.value] + len(reserved) >= self._settings.max_pending:
            raise await self._queue_full()
        await self._check_memory()

    @asynccontextmanager
    async def place(self, job_id: str) -> AsyncIterator[None]:
        """A place in the queue for one upload; given back where that fails.

        It counts from here on, so that uploads that arrive together cannot overfill the queue. One
        that succeeds has added its job, which took the place: nothing is left to give back, and
        nothing that could fail after the job was accepted.
        Raises `Busy` with the reason and when to come back.
        """
        self.check_open()
        # Taken before the memory is read: that takes a moment, in which others may come.
        if not await self._store.reserve(job_id, self._owner, self._settings.max_pending):
            raise await self._queue_full()
        self.held.add(job_id)
        try:
            await self._check_memory()
            self.check_open()
            yield
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._store.unreserve(job_id)
            raise
        finally:
            self.held.discard(job_id)

    async def _queue_full(self) -> Busy:
        return Busy(
            f"The queue is full: {self._settings.max_pending} jobs are waiting already.",
            reason="queue full",
            retry_after_seconds=await self._estimated_wait(),
        )

    async def _check_memory(self) -> None:
        if not await self._guard.has_room():
            raise Busy(
                "Memory is short; nothing new is taken until it has recovered.",
                reason="memory",
                retry_after_seconds=self._settings.memory_retry_seconds,
            )

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count an upload, with a place or without."""
        self.uploading += 1
        try:
            yield
        finally:
            self.uploading -= 1

    def check_open(self, *, close: bool = False) -> None:
        """`Busy` once the service is going away."""
        if self.closed:
            raise Busy(
                "The service is shutting down.",
                reason="draining",
                retry_after_seconds=max(1, math.ceil(self._settings.drain_seconds)),
                close=close,
            )
