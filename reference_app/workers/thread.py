"""A job in a thread of the service's own process, for profiling. It can only be asked to end."""

from __future__ import annotations

import asyncio
import threading

import anyio.to_thread

from reference_app.memory.allocator import release_memory
from reference_app.pipeline.task import Progress, Summary, Task
from reference_app.workers.child_main import Engine, run_engine
from reference_app.workers.worker import OnProgress, Stopped

__all__ = ["ThreadWorker"]


class ThreadWorker:
    """A job in a thread of this process, for profiling: what a job forgets stays to be seen."""

    pid: int | None = None

    def __init__(self, engine: Engine, task: Task, limiter: anyio.CapacityLimiter) -> None:
        self._engine = engine
        self._task = task
        self._limiter = limiter
        self._stop = threading.Event()

    async def run(self, on_progress: OnProgress) -> Summary:
        """Run the engine in a thread, to its end."""
        loop = asyncio.get_running_loop()

        def report(progress: Progress) -> None:
            loop.call_soon_threadsafe(on_progress, progress)

        try:
            with anyio.CancelScope(shield=True):
                summary = await anyio.to_thread.run_sync(self._work, report, limiter=self._limiter)
        except Exception:
            if self._stop.is_set():
                raise Stopped from None
            raise
        return summary

    def stop(self) -> None:
        """Ask the engine to end at its next step."""
        self._stop.set()

    def _work(self, report: OnProgress) -> Summary:
        try:
            return run_engine(self._engine, self._task, report, self._stop.is_set)
        finally:
            release_memory()
