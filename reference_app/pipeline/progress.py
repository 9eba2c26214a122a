"""Tells how far a job is, a few times a second at most, and asks whether it should go on."""

from __future__ import annotations

from collections.abc import Callable

from reference_app.pipeline.errors import PipelineCancelled
from reference_app.pipeline.task import Progress

__all__ = ["Reporter"]

INTERVAL_SECONDS = 0.3


class Reporter:
    """Stands between a job and whoever watches it; what the watcher raises ends the job."""

    def __init__(
        self,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self.stage = ""
        self._report = report
        self._cancelled = cancelled
        self._clock = clock
        self._next = 0.0

    def enter(self, stage: str, fraction: float, message: str) -> None:
        """A stage begins: always told."""
        self.stage = stage
        self.check()
        self._tell(fraction, message)

    def advance(self, fraction: float, message: Callable[[], str]) -> None:
        """A stage moves on: told when the last time is long enough ago."""
        self.check()
        if self._clock() >= self._next:
            self._tell(fraction, message())

    def check(self) -> None:
        """End the job here if someone asked for it."""
        if self._cancelled():
            raise PipelineCancelled(self.stage)

    def _tell(self, fraction: float, message: str) -> None:
        self._next = self._clock() + INTERVAL_SECONDS
        self._report(Progress(self.stage, round(min(1.0, max(0.0, fraction)), 3), message))
