"""Whether an upload may begin: decided before a byte of its body is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType

from typing_extensions import Self

from reference_app.errors import Busy
from reference_app.memory.guard import MemoryGuard

__all__ = ["Admission", "Reservation"]

_MEMORY_RETRY_SECONDS = 5


class Reservation:
    """A place in the queue for an upload on its way; given back unless the upload takes it.

    The place is counted from here on, so that uploads that arrive together cannot overfill the
    queue.
    """

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Give the place back; harmless a second time."""
        if self._give_back is not None:
            self._give_back()
            self._give_back = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Admission:
    """The queue's capacity, the memory and the end of service, as one yes or one named refusal."""

    def __init__(
        self,
        *,
        max_pending: int,
        waiting: Callable[[], int],
        guard: MemoryGuard,
        estimated_wait: Callable[[], int],
        drain_seconds: float,
    ) -> None:
        self.uploading = 0
        self.closed = False
        self._max_pending = max_pending
        self._waiting = waiting
        self._guard = guard
        self._estimated_wait = estimated_wait
        self._drain_seconds = drain_seconds

    async def reserve(self) -> Reservation:
        """A place for one upload, or `Busy` with the reason and when to come back."""
        self.check_open()
        # Taken before the memory is read: that takes a moment, in which others may come.
        reservation = self._take_place()
        try:
            if not await self._guard.has_room():
                raise Busy(
                    "Memory is short; nothing new is taken until it has recovered.",
                    reason="memory",
                    retry_after_seconds=_MEMORY_RETRY_SECONDS,
                )
            self.check_open()
        except BaseException:
            reservation.release()
            raise
        return reservation

    def check_open(self, *, close: bool = False) -> None:
        """`Busy` once the service is going away."""
        if self.closed:
            raise Busy(
                "The service is shutting down.",
                reason="draining",
                retry_after_seconds=max(1, math.ceil(self._drain_seconds)),
                close=close,
            )

    def _take_place(self) -> Reservation:
        if self.uploading + self._waiting() >= self._max_pending:
            raise Busy(
                f"The queue is full: {self._max_pending} jobs are waiting already.",
                reason="queue full",
                retry_after_seconds=self._estimated_wait(),
            )
        self.uploading += 1
        return Reservation(self._give_back)

    def _give_back(self) -> None:
        self.uploading -= 1
