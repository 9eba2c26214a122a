"""Time as the service sees it: one for people, one for measuring; both injected."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "iso"]


class Clock(Protocol):
    """Where the service asks the time.

    Ages and expiries come from `steady`, so that a step of the wall clock neither expires a job
    early nor keeps one for ever.
    """

    def wall(self) -> float:
        """Seconds since the epoch, for timestamps that people read."""

    def monotonic(self) -> float:
        """Seconds that never jump, for ages."""


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment that stays the same."""
        return time.monotonic()


def iso(moment: float | None) -> str | None:
    """`moment` as an ISO 8601 timestamp in UTC; None stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
