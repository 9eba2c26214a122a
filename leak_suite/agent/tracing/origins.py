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
        """See `Watch.update`."""
        now = self._kind.items()
        new = [key for key in now if key not in self._known]
        stacks = suspects() if new else None
        known = {key: self._known.get(key) for key in now}
        known.update(dict.fromkeys(new, stacks))
        self._known = known
        self._mark = self._kind.mark()

    def end_window(self) -> None:
        """What is open now was opened in the first window, unless it was there before."""
        self._marked = frozenset(self._kind.items())

    def opened(self) -> list[dict[str, Any]]:
        """What was opened and is still open: {"what", "stack" or None, "window": 1 or 2}."""
        new = [key for key in self._kind.items() if key not in self._before]
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


class _Descriptors:
    """Open file descriptors; the lowest free number changes with every one opened or closed."""

    def __init__(self) -> None:
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def mark(self) -> int:
        try:
            fd = os.dup(self._spare)
        except OSError:
            return -1
        os.close(fd)
        return fd

    def items(self) -> list[tuple[int, int, int]]:
        # Not by name: a file that is renamed or deleted is still the one that was opened.
        found: list[tuple[int, int, int]] = []
        for name in os.listdir("/proc/self/fd"):
            try:
                about = os.fstat(int(name))
            except OSError:
                continue  # the listing's own descriptor
            found.append((int(name), about.st_dev, about.st_ino))
        return found

    def describe(self, key: tuple[int, int, int]) -> str:
        try:
            return os.readlink("/proc/self/fd/" + str(key[0]))
        except OSError:
            return "a closed descriptor"

    def close(self) -> None:
        os.close(self._spare)


class _Threads:
    """Threads of the process, Python's and native ones."""

    def mark(self) -> int:
        return os.stat("/proc/self/task").st_nlink

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

    def close(self) -> None:
        pass


class _Children:
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

    def close(self) -> None:
        pass


class _Tasks:
    """asyncio tasks of every loop that the subject's own code ran in."""

    def __init__(self) -> None:
        self._loops: weakref.WeakSet[Any] = weakref.WeakSet()

    def mark(self) -> set[weakref.ref[Any]]:
        return set(self.items())

    def items(self) -> list[weakref.ref[Any]]:
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or not hasattr(asyncio, "all_tasks"):
            return []
        loop = asyncio._get_running_loop()
        if loop is not None:
            self._loops.add(loop)
        return [weakref.ref(task) for loop in self._loops for task in asyncio.all_tasks(loop)]

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

    def close(self) -> None:
        pass


class _TempFiles:
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

    def close(self) -> None:
        pass


ORIGINS: dict[str, Any] = {
    "fds": _Descriptors,
    "threads": _Threads,
    "children": _Children,
    "tasks": _Tasks,
    "temp_files": _TempFiles,
}
"""Kinds of things that can be watched, by name."""
