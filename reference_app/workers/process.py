"""A job in a process of its own, from the forkserver.

It is ended by killing it, which gives everything back whatever it was doing; its files are its
job's folder, and that is deleted by the service.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
from contextlib import ExitStack
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running, set_forkserver_preload
from pathlib import Path
from typing import Any

import anyio.to_thread

from reference_app.memory.allocator import worker_environment
from reference_app.pipeline.budget import MIB
from reference_app.pipeline.errors import JobFailed
from reference_app.pipeline.task import Summary, Task
from reference_app.workers import child_main
from reference_app.workers.child_main import Engine
from reference_app.workers.worker import OnProgress, Stopped

__all__ = ["PRELOAD", "ProcessWorker", "can_start_workers", "warm_up"]

_FORKSERVER = multiprocessing.get_context("forkserver")
#: What the forkserver loads; the last one gives back what loading took.
PRELOAD = [
    "reference_app.workers.preload",
    "reference_app.pipeline.preload",
    "reference_app.workers.settle",
]
_ROOT = Path(__file__).resolve().parents[2]
_EXIT_SECONDS = 2.0
# What a process does to itself: an assertion, an invalid access or instruction.
_CRASHES = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}


def warm_up() -> None:
    """Start the forkserver and wait until it has loaded all that workers need.

    The first job then starts as quickly as every other, and the memory of a service that has
    just started is that of one that rests.
    """
    _ensure_forkserver()
    process = _FORKSERVER.Process(target=child_main.noop, daemon=True)
    process.start()
    process.join()
    process.close()


def can_start_workers() -> bool:
    """Whether the forkserver lives, or can be started at the next job."""
    try:
        _ensure_forkserver()
    except OSError:
        return False
    return True


def _ensure_forkserver() -> None:
    """Start the forkserver unless it lives.

    It reads its allocator's options from the environment, and finds this package by PYTHONPATH:
    `sys.path` does not reach the modules that it preloads.
    """
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
    wanted = {**worker_environment(), "PYTHONPATH": path}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        set_forkserver_preload(PRELOAD)
        _do_without_tracker()
        ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _do_without_tracker() -> None:
    """Let the standard library think that its resource tracker runs.

    It is a process of 6 MiB that removes named semaphores and shared memory which nobody removed;
    workers have neither. What is written to it goes nowhere.
    """
    tracker = getattr(resource_tracker, "_resource_tracker", None)
    if tracker is not None and getattr(tracker, "_fd", 0) is None:
        tracker._fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


class ProcessWorker:
    """A job in a process that is born for it and dies with it."""

    def __init__(self, engine: Engine, task: Task, *, niceness: int) -> None:
        self._arguments = (engine, task, niceness)
        self._stack = ExitStack()
        self._process: ForkServerProcess | None = None
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """The worker's process, from its birth until it has been reaped."""
        return None if self._process is None else self._process.pid

    async def run(self, on_progress: OnProgress) -> Summary:
        """Start the process, follow it to its last message, and reap it."""
        try:
            receiver = await anyio.to_thread.run_sync(self._launch)
            summary = await self._follow(receiver, on_progress)
            await self._join()
            return summary
        except (EOFError, OSError) as error:
            await self._join()
            if self._stopped:
                raise Stopped from None
            raise JobFailed(self._exit_reason()) from error
        finally:
            await self._cleanup()

    def stop(self) -> None:
        """Kill the process, or the one that is just being started."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def _launch(self) -> Connection:
        _ensure_forkserver()
        receiver, sender = _FORKSERVER.Pipe(duplex=False)
        self._stack.callback(receiver.close)
        # The worker has its own copy; with ours open its death would not end the stream.
        with sender:
            process = _FORKSERVER.Process(
                target=child_main.main, args=(sender, *self._arguments), daemon=True
            )
            process.start()
        self._process = process
        if self._stopped:
            process.kill()
        return receiver

    async def _follow(self, receiver: Connection, on_progress: OnProgress) -> Summary:
        """Read messages until the last; EOFError when the process dies before it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Summary] = loop.create_future()

        def receive() -> None:
            # A message is far shorter than what a pipe writes in one piece, so this never waits.
            try:
                kind, body = receiver.recv()
            except (EOFError, OSError, pickle.UnpicklingError):
                _settle(done, EOFError("the worker is gone"))
                loop.remove_reader(receiver.fileno())
                return
            if kind == "progress":
                on_progress(body)
            else:
                _settle(done, body if kind == "done" else JobFailed(body))

        loop.add_reader(receiver.fileno(), receive)
        try:
            return await done
        finally:
            loop.remove_reader(receiver.fileno())

    async def _join(self) -> None:
        if self._process is not None:
            await anyio.to_thread.run_sync(self._process.join, _EXIT_SECONDS)

    def _exit_reason(self) -> str:
        code = None if self._process is None else self._process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            if -code in _CRASHES:
                memory = self._arguments[1].memory_bytes
                has = f" of {memory // MIB} MiB" if memory is not None else ""
                return (
                    f"A library broke on this video ({name}): it is damaged, or its job needed "
                    f"more than its memory{has}. Do not send it again as it is."
                )
            hint = "; the machine may be out of memory" if -code == signal.SIGKILL else ""
            return f"The worker was killed from outside ({name}){hint}. Send the video again."
        return "The worker ended without a result. Send the video again."

    async def _cleanup(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._join()
            if self._process.exitcode is not None:
                self._process.close()
            self._process = None
        self._stack.close()


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
