"""Who listens to which job: bounded queues that never outlive their listener."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["JobEvents", "Subscription"]

#: The version of the job's record, and what a client reads of it.
Event = tuple[int, dict[str, Any]]


class Subscription:
    """The events of one listener; a slow one loses the oldest, never the last."""

    def __init__(self, limit: int) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(limit)

    def put(self, event: Event | None) -> None:
        """Add an event; None says that no more will come."""
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(event)

    @property
    def pending(self) -> bool:
        """Whether an event waits to be read."""
        return not self._queue.empty()

    async def next(self, timeout_seconds: float) -> Event | None:
        """The next event, or None at the end; raises TimeoutError when none came in time."""
        async with asyncio.timeout(timeout_seconds):
            return await self._queue.get()


class JobEvents:
    """Hands the events of a job to all that listen to it."""

    def __init__(self, limit: int = 32) -> None:
        self._limit = limit
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._closed = False

    def __len__(self) -> int:
        return sum(len(group) for group in self._subscriptions.values())

    @property
    def job_ids(self) -> tuple[str, ...]:
        """The jobs that somebody listens to."""
        return tuple(self._subscriptions)

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Subscription]:
        """Listen to one job for as long as the block lasts."""
        subscription = Subscription(self._limit)
        group = self._subscriptions.setdefault(job_id, set())
        group.add(subscription)
        if self._closed:
            subscription.put(None)
        try:
            yield subscription
        finally:
            group.discard(subscription)
            if not group and self._subscriptions.get(job_id) is group:
                del self._subscriptions[job_id]

    def publish(
        self, job_id: str, view: dict[str, Any], *, version: int = 0, last: bool = False
    ) -> None:
        """Tell the listeners of a job; after the `last` event their streams end."""
        for subscription in self._subscriptions.get(job_id, ()):
            subscription.put((version, view))
            if last:
                subscription.put(None)

    def close(self) -> None:
        """End every stream, those that begin later too: the service is going away."""
        self._closed = True
        for group in self._subscriptions.values():
            for subscription in group:
                subscription.put(None)
