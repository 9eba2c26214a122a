"""The asyncio tasks that are not finished, where the subject uses asyncio at all."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Tasks", "forget_cancelled_timers"]


class Tasks:
    """Counts pending tasks of every loop without importing asyncio."""

    def __init__(self) -> None:
        self.loops: list[Any] = []

    def pending(self) -> list[Any] | None:
        """The unfinished tasks; None while asyncio is not even loaded."""
        module: Any = sys.modules.get("asyncio.tasks")
        if module is None:
            return None
        found: set[Any] = set()
        for loop in self.loops:
            found.update(module.all_tasks(loop))
        # Which loops the subject made is not known. Until 3.11 one weak set holds all tasks, since
        # 3.12 one those that are not of the C type or, before 3.14, all that were not eager.
        for name in ("_all_tasks", "_scheduled_tasks"):
            found.update(_copy(getattr(module, name, ())))
        for eager in _copy(getattr(module, "_eager_tasks", ())):
            found.add(eager)
        return [task for task in found if not task.done()]

    def read(self) -> int:
        """How many tasks are pending. No asyncio means no tasks."""
        pending = self.pending()
        return 0 if pending is None else len(pending)

    def describe(self) -> list[tuple[str, str, str]]:
        """(coroutine, file:line where it is defined, file:line where it waits) of each task."""
        return [_described(task) for task in (self.pending() or [])[:200]]


def forget_cancelled_timers(loop: Any) -> None:
    """Drop timers that were cancelled: asyncio keeps up to a hundred of them for later.

    To be called in the loop's own thread. Loops of another make are left as they are.
    """
    scheduled = getattr(loop, "_scheduled", None)
    heapq = sys.modules.get("heapq")
    if not isinstance(scheduled, list) or heapq is None:
        return
    kept = [timer for timer in scheduled if not timer.cancelled()]
    if len(kept) == len(scheduled):
        return
    for timer in scheduled:
        if timer.cancelled():
            timer._scheduled = False
    heapq.heapify(kept)
    scheduled[:] = kept
    loop._timer_cancelled_count = 0


def _copy(tasks: Iterable[Any]) -> list[Any]:
    """The members of a weak set that another thread may change meanwhile."""
    for _ in range(100):
        try:
            return list(tasks)
        except RuntimeError:  # noqa: PERF203
            continue
    return []


def _described(task: Any) -> tuple[str, str, str]:
    coroutine = task.get_coro()
    code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    made = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    stack = task.get_stack(limit=1)
    waits = f"{stack[-1].f_code.co_filename}:{stack[-1].f_lineno}" if stack else ""
    return (name, made, waits)
