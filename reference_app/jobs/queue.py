"""Who waits for work is woken here. The order of the queue is the store's."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["JobQueue", "LocalJobQueue"]


class JobQueue(Protocol):
    """Says that there may be a job to claim: a hint, which may come twice, late or for nothing.

    The record of the job decides (`JobStore.claim`), and waits there if a hint is lost.
    """

    async def open(self) -> None:
        """Make it ready; raises `StartupError` where it cannot be used."""

    async def close(self) -> None:
        """Give back what it holds; a second call does nothing."""

    async def put(self, job_id: str) -> None:
        """Announce a job that waits, to one process that could start it, here or elsewhere.

        A broker that is away is no error: the job is found by the poll and announced again.
        """

    def wake(self) -> None:
        """Wake who waits in this process, as after an announcement; nobody else is notified."""

    async def wait(self, timeout_seconds: float, *, take: bool = True) -> bool:
        """Wait for a hint; False where none came in time. One that came before is not lost.

        Without `take` announcements are left to processes that can start a job.
        """

    async def length(self) -> int | None:
        """How many announcements wait for a process; None where none is ever kept.

        Raises whatever its client does where a broker does not answer.
        """


class LocalJobQueue:
    """Hints within this process."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Nothing has to be made ready."""

    async def close(self) -> None:
        """Nothing is held."""

    async def put(self, job_id: str) -> None:
        """See `JobQueue`."""
        del job_id
        self.wake()

    def wake(self) -> None:
        """See `JobQueue`."""
        self._changed.set()

    async def wait(self, timeout_seconds: float, *, take: bool = True) -> bool:
        """See `JobQueue`."""
        del take
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    async def length(self) -> None:
        """A hint for this process alone is no announcement."""
