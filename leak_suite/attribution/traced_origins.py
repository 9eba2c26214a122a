"""Inside the subject: which line of its own opened each descriptor, thread, task, child or file.

A line trace looks, after each line of the subject's own code, whether something new is there:
that sees what C code opens as well, which no hook on `open` would. Standard library, 3.9 syntax.
"""

# It runs inside the subject, often between two of its lines: os, and not pathlib.
# ruff: noqa: PTH115, PTH116, PTH118, PTH123, PTH208, PERF203, SIM118
from __future__ import annotations

import os
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

__all__ = ["Origins"]

FRAMES = 40
MOST_FILES = 5000


class Origins:
    """Remembers, for each thing that is open, the stack that stood when it first was seen."""

    def __init__(self, names: Iterable[str], is_own: Callable[[str], bool]) -> None:
        self.watches: list[Any] = [_WATCHES[name]() for name in names]
        self.is_own = is_own
        self.stacks: dict[str, list[list[Any]]] = {}
        self._previous: tuple[Any, Any] = (None, None)
        self._looking = threading.Lock()

    def start(self) -> None:
        """Note what is there already, and begin to trace in this and every later thread."""
        for watch in self.watches:
            watch.mark = watch.glance()
            watch.before = frozenset(watch.keys())
            watch.known = dict.fromkeys(watch.before)
        self._previous = sys.gettrace(), getattr(threading, "_trace_hook", None)
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def stop(self) -> dict[str, list[dict[str, Any]]]:
        """End tracing; per metric what is open by now, and the stack that opened it (if known)."""
        sys.settrace(self._previous[0])
        threading.settrace(self._previous[1])
        watches, self.watches = self.watches, []
        result = {}
        for watch in watches:
            result[watch.name] = [
                {"what": watch.what(key), "stack": watch.known.get(key)}
                for key in watch.keys()
                if key not in watch.before
            ]
        return result

    def _enter(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        if not self.is_own(frame.f_code.co_filename):
            return None
        if not self.watches:
            return None
        # What is new at a call was opened before it, by the caller.
        self._look(frame.f_back, None)
        line = frame.f_lineno

        def trace(frame: FrameType, event: str, _arg: Any) -> Any:
            nonlocal line
            if event != "exception":
                self._look(frame, line)
                line = frame.f_lineno
            return trace

        return trace

    def _look(self, frame: FrameType | None, line: int | None) -> None:
        for watch in self.watches:
            mark = watch.glance()
            if mark != watch.mark and self._looking.acquire(False):
                try:
                    self._refresh(watch, frame, line)
                finally:
                    self._looking.release()

    def _refresh(self, watch: Any, frame: FrameType | None, line: int | None) -> None:
        now = watch.keys()
        new = [key for key in now if key not in watch.known]
        stack = self._stack(frame, line) if new else None
        watch.known = {key: watch.known.get(key) for key in now}
        for key in new:
            watch.known[key] = stack
        watch.mark = watch.glance()

    def _stack(self, frame: FrameType | None, line: int | None) -> list[list[Any]]:
        frames: list[list[Any]] = []
        while frame is not None and len(frames) < FRAMES:
            code = frame.f_code
            frames.append([code.co_filename, line or frame.f_lineno, code.co_name])
            frame, line = frame.f_back, None
        # Equal stacks are kept once: the record of a leak must not become one.
        return self.stacks.setdefault(str(frames), frames)


class _Descriptors:
    """Open file descriptors; the lowest free number changes with every one opened or closed."""

    name = "fds"

    def __init__(self) -> None:
        self.spare = os.open(os.devnull, os.O_RDONLY)

    def glance(self) -> int:
        try:
            fd = os.dup(self.spare)
        except OSError:
            return -1
        os.close(fd)
        return fd

    def keys(self) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        for name in os.listdir("/proc/self/fd"):
            try:
                found.append((int(name), os.readlink("/proc/self/fd/" + name)))
            except OSError:
                continue  # the listing's own descriptor
        return found

    def what(self, key: tuple[int, str]) -> str:
        return key[1]


class _Threads:
    """Threads of the process, Python's and native ones."""

    name = "threads"

    def glance(self) -> int:
        return os.stat("/proc/self/task").st_nlink

    def keys(self) -> list[int]:
        return [int(name) for name in os.listdir("/proc/self/task")]

    def what(self, key: int) -> str:
        for thread in threading.enumerate():
            if thread.native_id == key:
                return "Python thread " + thread.name
        try:
            with open(f"/proc/self/task/{key}/comm") as file:
                return "native thread " + file.read().strip()
        except OSError:
            return "ended thread"


class _Children:
    """Child processes."""

    name = "children"

    def glance(self) -> list[int]:
        return self.keys()

    def keys(self) -> list[int]:
        found: list[int] = []
        for task in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{task}/children") as file:
                    found.extend(int(pid) for pid in file.read().split())
            except OSError:
                continue
        return sorted(found)

    def what(self, key: int) -> str:
        try:
            with open(f"/proc/{key}/cmdline") as file:
                return file.read().replace("\0", " ").strip()[:200]
        except OSError:
            return f"process {key}"


class _Tasks:
    """asyncio tasks of every loop that the subject's own code ran in."""

    name = "tasks"

    def __init__(self) -> None:
        self.loops: weakref.WeakSet[Any] = weakref.WeakSet()

    def glance(self) -> set[weakref.ref[Any]]:
        return set(self.keys())

    def keys(self) -> list[weakref.ref[Any]]:
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or not hasattr(asyncio, "all_tasks"):
            return []
        loop = asyncio._get_running_loop()
        if loop is not None:
            self.loops.add(loop)
        return [weakref.ref(task) for loop in self.loops for task in asyncio.all_tasks(loop)]

    def what(self, key: weakref.ref[Any]) -> str:
        task = key()
        if task is None:
            return "ended task"
        coroutine = task.get_coro()
        name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
        frame = getattr(coroutine, "cr_frame", None)
        if frame is None:
            return f"{task.get_name()} ({name})"
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        return f"{name} waiting at {place}"


class _TempFiles:
    """Files below the folder for temporary files."""

    name = "temp_files"

    def __init__(self) -> None:
        self.folder = tempfile.gettempdir()

    def glance(self) -> list[str]:
        return self.keys()

    def keys(self) -> list[str]:
        found: list[str] = []
        for folder, _folders, files in os.walk(self.folder):
            found.extend(os.path.join(folder, name) for name in files)
            if len(found) > MOST_FILES:
                break
        return found

    def what(self, key: str) -> str:
        return key


_WATCHES: dict[str, Any] = {
    watch.name: watch for watch in (_Descriptors, _Threads, _Children, _Tasks, _TempFiles)
}
