"""What a worker is: one job, driven by `run` to its end, ended by `stop` at any time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from reference_app.pipeline.task import Progress, Summary

__all__ = ["OnProgress", "Stopped", "Worker"]

OnProgress = Callable[[Progress], None]


class Stopped(Exception):
    """The worker was stopped."""


class Worker(Protocol):
    """Does one job."""

    @property
    def pid(self) -> int | None:
        """The process that does it, where it has one of its own that lives."""

    async def run(self, on_progress: OnProgress) -> Summary:
        """Do the job; raises `Stopped`, `JobFailed`, or what broke."""

    def stop(self) -> None:
        """End it as soon as possible; `run` then raises `Stopped`."""
