"""Repeating the workload inside the subject, with as little around it as can be."""

from __future__ import annotations

import errno
import os
import time
from itertools import repeat

from .tasks import forget_cancelled_timers

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable, Iterator
    from typing import Any

    from .growth_guard import GrowthGuard

__all__ = ["Loop", "describe_error", "is_coroutine_function"]

_CHUNK_SECONDS = 0.03
_COROUTINE = 0x80


class Loop:
    """The workload, callable or coroutine function, and the loop that repeats it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._event_loop: Any = None
        self._chunk = 1
        if is_coroutine_function(function):
            self._make_event_loop()

    def _make_event_loop(self) -> None:
        import asyncio

        self._event_loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._event_loop)
        self._sleep = asyncio.sleep

    @property
    def event_loop(self) -> Any:
        """The one loop that an async workload runs on; None for a sync one."""
        return self._event_loop

    def spin(self) -> None:
        """Give tasks and callbacks of the workload's loop a few turns to end in."""
        for _ in range(3):
            self._event_loop.run_until_complete(self._sleep(0))
        forget_cancelled_timers(self._event_loop)

    def close(self) -> None:
        """Close the workload's event loop, with what still waits on it."""
        if self._event_loop is None:
            return
        import asyncio

        loop, self._event_loop = self._event_loop, None
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(self._sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()

    def round(
        self, iterations: int, seconds: float, guard: GrowthGuard, alive: Callable[[], bool]
    ) -> tuple[int, float, str, str | None]:
        """Up to `iterations` in up to `seconds`: (done, seconds in them, why it ended, error).

        Works in chunks of a few milliseconds. Between them the guard is asked whether to end early,
        and `alive` whether anybody is still there to want the result.
        """
        done, spent, error, stop_reason = 0, 0.0, None, "done"
        chunk = 1
        while done < iterations:
            count = min(chunk, iterations - done)
            before = guard.fraction
            started = time.perf_counter()
            counted, error = self._repeat(count)
            took = time.perf_counter() - started
            spent += took
            done += counted
            if error is not None:
                stop_reason = "failed"
                break
            if guard.tripped():
                self._chunk = max(1, self._chunk // 4)
                stop_reason = "growth"
                break
            if spent >= seconds:
                stop_reason = "time"
                break
            if not alive():
                stop_reason = "gone"
                break
            self._adapt(count, took, guard.fraction - before)
            chunk = self._chunk
        return done, spent, stop_reason, error

    def _adapt(self, count: int, took: float, grown: float) -> None:
        if grown > 0.25:
            self._chunk = max(1, int(count * 0.25 / grown))
        elif took < _CHUNK_SECONDS / 2:
            self._chunk = max(self._chunk, count * 2)
        elif took > _CHUNK_SECONDS * 2:
            self._chunk = max(1, count // 2)

    def _repeat(self, count: int) -> tuple[int, str | None]:
        """(how many were done, the error that ended them early)."""
        turns = repeat(None, count)
        try:
            if self._event_loop is None:
                function = self._function
                for _ in turns:
                    function()
            else:
                self._event_loop.run_until_complete(_awaited(self._function, turns))
        except (Exception, SystemExit) as error:
            return count - turns.__length_hint__() - 1, describe_error(error)
        return count, None


async def _awaited(function: Callable[..., Any], turns: Iterator[None]) -> None:
    for _ in turns:
        await function()


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(type(function).__call__, "__code__", None)
    return bool(code is not None and code.co_flags & _COROUTINE)


def describe_error(error: BaseException) -> str:
    """The exception and the innermost own line that it came from; else the innermost of a library.

    Of a name that cannot be resolved, or a network that cannot be reached, it says what to do.
    """
    agent = __file__[: __file__.rindex("/") + 1]
    library = os.path.dirname(getattr(os, "__file__", "")) or "<frozen"
    trace = error.__traceback__
    own = other = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        where = f" ({file}:{trace.tb_lineno})"
        if not file.startswith((agent, "<frozen")):
            if file.startswith(library) or "/site-packages/" in file or "/dist-packages/" in file:
                other = where
            else:
                own = where
        trace = trace.tb_next
    text = str(error)
    said = (f"{type(error).__name__}: {text}" if text else type(error).__name__) + (own or other)
    return said + _NO_NETWORK if _wants_network(error) else said


_NO_NETWORK = "; it wants a network that is not there: give the workload a stand-in on this machine"


def _wants_network(error: BaseException) -> bool:
    """Whether it, or a cause of it, is a name not resolved or a network not reached."""
    seen: list[Any] = []
    causes: list[Any] = [error]
    while causes:
        one = causes.pop()
        if not isinstance(one, BaseException) or any(one is before for before in seen):
            continue
        if type(one).__name__ == "gaierror":
            return True
        if isinstance(one, OSError) and one.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            return True
        seen.append(one)
        causes += [one.__cause__, one.__context__, getattr(one, "reason", None)]
    return False
