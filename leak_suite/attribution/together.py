"""Do several things at once, each in a thread of its own, and not beyond a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from leak_suite.errors import LeakSuiteError, SubjectError

__all__ = ["at_once"]

T = TypeVar("T")
_FAREWELL_SECONDS = 3.0


class _Task(Generic[T]):
    """One thing to do, and how it ended."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.result: T | None = None
        self.error: Exception | None = None
        # A daemon: what hangs must not keep the verdict from being told.
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:
            self.error = error

    def ended(self, *, late: bool) -> T | LeakSuiteError:
        """The result, or why there is none."""
        if self.result is not None:
            return self.result
        if late:
            return SubjectError("it was ended because it took too long")
        if isinstance(self.error, LeakSuiteError):
            return self.error
        return SubjectError(f"{type(self.error).__name__}: {self.error}")


def at_once(
    works: Sequence[Callable[[], T]], *, until: float, give_up: Callable[[], None]
) -> list[T | LeakSuiteError]:
    """What each of `works` returned, in their order, or how it failed.

    At the time `until` (of the monotonic clock) `give_up` is called, which shall make those that
    still run fail; also when this very call is interrupted.
    """
    tasks = [_Task(work) for work in works]
    for task in tasks:
        task.thread.start()
    try:
        _join(tasks, until)
    finally:
        late = [task for task in tasks if task.thread.is_alive()]
        if late:
            give_up()
            _join(late, time.monotonic() + _FAREWELL_SECONDS)
    return [task.ended(late=task in late) for task in tasks]


def _join(tasks: Sequence[_Task[T]], until: float) -> None:
    for task in tasks:
        task.thread.join(max(0.0, until - time.monotonic()))
