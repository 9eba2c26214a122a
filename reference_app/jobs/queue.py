"""Who waits for work is woken here. The order of the queue is the store's."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["JobQueue", "LocalJobQueue"]


class JobQueue(Protocol):
    """Says that there may be a job to claim: a hint, which may come twice, late or for nothing.

    The record of the job decides (`JobStore.claim`). An engine whose entries belong into the same
    transaction as the record makes them in `JobStore.add`, and `put` does nothing there.
    """

    async def put(self, job_id: str) -> None:
        """Wake whoever waits, for this job has come into the queue."""

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait for a hint; False where none came in time. One that came before is not lost."""


class LocalJobQueue:
    """Hints within this process."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    async def put(self, job_id: str) -> None:
        """See `JobQueue`."""
        del job_id
        self._changed.set()

    async def wait(self, timeout_seconds: float) -> bool:
        """See `JobQueue`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True
