"""The queue and the places behind it: who waits, who runs, and who may start next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reference_app.logs import Logger
from reference_app.pipeline.task import Summary
from reference_app.workers.worker import OnProgress, Worker

__all__ = ["WorkerPool"]

_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class _Work:
    make: Callable[[], Worker]
    execute: Callable[[Worker], Awaitable[None]]


class _Unmade:
    """Stands for a worker that could not be made: its job fails, and the queue goes on."""

    pid: int | None = None

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def run(self, on_progress: OnProgress) -> Summary:
        """Raise what kept it from being made."""
        del on_progress
        raise self._error

    def stop(self) -> None:
        """There is nothing to stop."""


def _made(make: Callable[[], Worker]) -> Worker:
    try:
        return make()
    except Exception as error:
        return _Unmade(error)


class WorkerPool:
    """First come, first served, `size` at a time.

    Work that may not start yet, because `may_start` says no, waits at the head of the queue.
    """

    def __init__(self, size: int, may_start: Callable[[], Awaitable[bool]], log: Logger) -> None:
        self._size = size
        self._log = log
        self._may_start = may_start
        self._waiting: dict[str, _Work] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._workers: dict[str, Worker] = {}
        self._changed = asyncio.Event()
        self._halted = False
        self._dispatcher: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to start work."""
        self._dispatcher = asyncio.create_task(self._dispatch(), name="dispatcher")

    @property
    def waiting(self) -> int:
        """How many have no worker yet."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many places are taken."""
        return len(self._running)

    def pids(self) -> tuple[int, ...]:
        """The processes that work right now."""
        pids = (worker.pid for worker in tuple(self._workers.values()))
        return tuple(pid for pid in pids if pid is not None)

    def submit(
        self,
        job_id: str,
        make: Callable[[], Worker],
        execute: Callable[[Worker], Awaitable[None]],
    ) -> None:
        """Queue work: `execute` will be awaited with the worker that `make` makes.

        `make` is called in the same step in which the work leaves the queue.
        """
        self._waiting[job_id] = _Work(make, execute)
        self._changed.set()

    def position(self, job_id: str) -> int | None:
        """The place in the queue, from 1; None for what does not wait."""
        for place, waiting in enumerate(self._waiting, start=1):
            if waiting == job_id:
                return place
        return None

    def withdraw(self, job_id: str) -> bool:
        """Take work out of the queue; False if it does not wait there."""
        return self._waiting.pop(job_id, None) is not None

    async def stop(self, job_id: str) -> None:
        """Stop running work, and return when all that it held is given back."""
        if job_id in self._workers:
            self._workers[job_id].stop()
        if job_id in self._running:
            await asyncio.wait({self._running[job_id]})

    def halt(self) -> None:
        """Start nothing more; what runs goes on."""
        self._halted = True

    async def drain(self, seconds: float) -> None:
        """Start nothing more, let what runs finish for so long, then stop it."""
        self.halt()
        await self._close_dispatcher()
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=seconds)
        for job_id in tuple(self._running):
            await self.stop(job_id)

    async def _close_dispatcher(self) -> None:
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.wait({self._dispatcher})
            self._dispatcher = None

    async def _dispatch(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting and not self._halted and len(self._running) < self._size:
                if await self._is_time():
                    self._start_next()
                else:
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _is_time(self) -> bool:
        try:
            return await self._may_start()
        except Exception as error:
            # The dispatcher must live on: without it every job would wait for ever.
            self._log.error("cannot tell whether work may start", error=repr(error))
            return False

    def _start_next(self) -> None:
        # The queue may have been emptied, or halted, while the memory was read.
        if not self._waiting or self._halted:
            return
        job_id = next(iter(self._waiting))
        work = self._waiting.pop(job_id)
        worker = self._workers[job_id] = _made(work.make)
        task = asyncio.create_task(self._run(work, worker), name=f"job-{job_id}")
        self._running[job_id] = task
        task.add_done_callback(lambda _: self._finished(job_id))

    @staticmethod
    async def _run(work: _Work, worker: Worker) -> None:
        await work.execute(worker)

    def _finished(self, job_id: str) -> None:
        del self._running[job_id]
        del self._workers[job_id]
        self._changed.set()
