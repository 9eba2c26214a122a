"""Things that are opened and stay open: descriptors, threads, tasks, children, temporary files.

A watch for `LineTrace`: it knows each thing that is open by a key, and the lines that may have
opened it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import weakref

from .lines import most_suspected, votes_of

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable
    from typing import Any

    from .lines import Stack

__all__ = ["ORIGINS", "OriginWatch"]

_MOST_FILES = 5000


class OriginWatch:
    """What is open of one kind, and the stacks that stood when each was first seen."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._mark = kind.mark()
        self._before = frozenset(kind.items())
        self._known: dict[Any, list[Stack] | None] = dict.fromkeys(self._before)
        self._marked: frozenset[Any] = frozenset()

    def changed(self) -> bool:
        """See `Watch.changed`."""
        return bool(self._kind.mark() != self._mark)

    def update(self, suspects: Callable[[], list[Stack]]) -> None:
        """See `Watch.update`. Of thousands that are open only the changes are looked at."""
        now = set(self._kind.items())
        for key in self._known.keys() - now:
            del self._known[key]
        new = now - self._known.keys()
        if new:
            self._known.update(dict.fromkeys(new, suspects()))
        self._mark = self._kind.mark()

    def end_window(self) -> None:
        """What is open now was opened in the first window, unless it was there before."""
        self._marked = frozenset(self._kind.items())

    def opened(self) -> list[dict[str, Any]]:
        """What was opened and is still open: {"what", "stack" or None, "window": 1 or 2}."""
        new = [key for key in set(self._kind.items()) - self._before if self._kind.is_open(key)]
        votes = votes_of(self._known.get(key) for key in new)
        return [
            {
                "what": self._kind.describe(key),
                "stack": most_suspected(self._known.get(key), votes),
                "window": 1 if key in self._marked else 2,
            }
            for key in new
        ]

    def close(self) -> None:
        """Give back what watching takes."""
        self._kind.close()


class _Kind:
    """What a kind of thing need not say of itself."""

    def is_open(self, key: Any) -> bool:
        """Whether what `items` returned is what is looked for."""
        del key
        return True

    def close(self) -> None:
        """Give back what looking takes."""


class _Descriptors(_Kind):
    """Open file descriptors, by number; the lowest free one changes with each opened or closed."""

    def __init__(self) -> None:
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def mark(self) -> int:
        try:
            fd = os.dup(self._spare)
        except OSError:
            return -1
        os.close(fd)
        return fd

    def items(self) -> set[str]:
        # The listing's own descriptor takes the lowest free number.
        return set(os.listdir("/proc/self/fd")) - {str(self.mark())}

    def describe(self, key: str) -> str:
        try:
            return os.readlink("/proc/self/fd/" + key)
        except OSError:
            return "a closed descriptor"

    def close(self) -> None:
        os.close(self._spare)


class _Threads(_Kind):
    """Threads of the process, Python's and native ones."""

    def mark(self) -> list[str]:
        # Not their number: one may end, a moment after it was joined, while another begins.
        return os.listdir("/proc/self/task")

    def items(self) -> list[int]:
        return [int(name) for name in os.listdir("/proc/self/task")]

    def describe(self, key: int) -> str:
        for thread in threading.enumerate():
            if thread.native_id == key:
                return "Python thread " + thread.name
        try:
            with open(f"/proc/self/task/{key}/comm") as file:
                return "native thread " + file.read().strip()
        except OSError:
            return "ended thread"


class _Children(_Kind):
    """Child processes."""

    def mark(self) -> list[int]:
        return self.items()

    def items(self) -> list[int]:
        found: list[int] = []
        for task in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{task}/children") as file:
                    found.extend(int(pid) for pid in file.read().split())
            except OSError:  # noqa: PERF203
                continue
        return sorted(found)

    def describe(self, key: int) -> str:
        try:
            with open(f"/proc/{key}/cmdline") as file:
                return file.read().replace("\0", " ").strip()[:200]
        except OSError:
            return f"process {key}"


class _Tasks(_Kind):
    """asyncio tasks that are not done, of every loop; known by the references asyncio keeps."""

    def __init__(self) -> None:
        self._loops: weakref.WeakSet[Any] = weakref.WeakSet()

    def mark(self) -> int:
        return sum(map(len, self._sets()))

    def items(self) -> set[Any]:
        found: set[Any] = set()
        for tasks in self._sets():
            found.update(tasks)
        return found

    def _sets(self) -> list[set[Any]]:
        """Until 3.11 one weak set holds all tasks, since 3.12 two; those of 3.14 lack C tasks."""
        module: Any = sys.modules.get("asyncio.tasks")
        if module is None:
            return []
        found = [
            module.__dict__[name].data
            for name in ("_all_tasks", "_scheduled_tasks")
            if hasattr(module.__dict__.get(name), "data")
        ]
        eager = module.__dict__.get("_eager_tasks")
        if eager:
            found.append({weakref.ref(task) for task in list(eager)})
        if sys.version_info >= (3, 14):
            loop = module.events._get_running_loop()
            if loop is not None:
                self._loops.add(loop)
            found += [
                {weakref.ref(task) for task in module.all_tasks(loop)} for loop in self._loops
            ]
        return found

    def is_open(self, key: Any) -> bool:
        task = key()
        return task is not None and not task.done()

    def describe(self, key: weakref.ref[Any]) -> str:
        task = key()
        if task is None:
            return "ended task"
        coroutine = task.get_coro()
        name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
        frame = getattr(coroutine, "cr_frame", None)
        if frame is None:
            return f"{task.get_name()} ({name})"
        return f"{name} waiting at {frame.f_code.co_filename}:{frame.f_lineno}"


class _TempFiles(_Kind):
    """Files and folders below the folder for temporary files."""

    def __init__(self) -> None:
        self._folder = tempfile.gettempdir()

    def mark(self) -> list[str]:
        return self.items()

    def items(self) -> list[str]:
        found: list[str] = []
        for folder, folders, files in os.walk(self._folder):
            found.extend(os.path.join(folder, name) for name in folders + files)
            if len(found) > _MOST_FILES:
                break
        return found

    def describe(self, key: str) -> str:
        return key


ORIGINS: dict[str, Any] = {
    "fds": _Descriptors,
    "threads": _Threads,
    "children": _Children,
    "tasks": _Tasks,
    "temp_files": _TempFiles,
}
"""Kinds of things that can be watched, by name."""
