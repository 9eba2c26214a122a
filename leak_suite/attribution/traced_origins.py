"""Inside the subject: which line of its own opened each descriptor, thread, task, child or file.

A line trace looks, after each line of the subject's own code, whether something new is there:
that sees what C code opens as well, which no hook on `open` would. In a process with threads the
one that looks first need not be the one that opened: every line that is under way at that moment is
remembered, and the one that is so for most of what stays open is named. Standard library, 3.9.
"""

# It runs inside the subject, often between two of its lines: os, and not pathlib.
# ruff: noqa: PTH115, PTH116, PTH118, PTH123, PTH208, PERF203, SIM118
from __future__ import annotations

import os
import sys
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

__all__ = ["Origins"]

Stack = list[list[Any]]

FRAMES = 40
MOST_FILES = 5000


class Origins:
    """Remembers, for each thing that is open, the stack that stood when it first was seen."""

    def __init__(self, names: Iterable[str], is_own: Callable[[str], bool]) -> None:
        self.watches: list[Any] = [_WATCHES[name]() for name in names]
        self.is_own = is_own
        self.stacks: dict[str, Stack] = {}
        self._previous: tuple[Any, Any] = (None, None)
        self._looking = threading.Lock()
        # By thread: the frame of the subject's own that it is in, and the line that it is at.
        self._under_way: dict[int, tuple[FrameType, int | None]] = {}

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
        self._under_way.clear()
        result = {}
        for watch in watches:
            new = [key for key in watch.keys() if key not in watch.before]
            votes = Counter(
                line
                for key in new
                for line in {_place(stack) for stack in watch.known.get(key) or ()}
            )
            result[watch.name] = [
                {"what": watch.what(key), "stack": _most_voted(watch.known.get(key), votes)}
                for key in new
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
        here = threading.get_ident()
        self._under_way[here] = frame, line

        def trace(frame: FrameType, event: str, _arg: Any) -> Any:
            nonlocal line
            if event != "exception":
                self._look(frame, line)
                line = frame.f_lineno
                if event == "return":
                    self._leave(here, frame.f_back)
                else:
                    self._under_way[here] = frame, line
            return trace

        return trace

    def _leave(self, thread: int, caller: FrameType | None) -> None:
        """A call has ended, or its coroutine waits: the caller's line goes on, if it has one."""
        if caller is not None and self.is_own(caller.f_code.co_filename):
            self._under_way[thread] = caller, None
        else:
            self._under_way.pop(thread, None)

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
        stacks = self._suspects(frame, line) if new else None
        watch.known = {key: watch.known.get(key) for key in now}
        for key in new:
            watch.known[key] = stacks
        watch.mark = watch.glance()

    def _suspects(self, frame: FrameType | None, line: int | None) -> list[Stack]:
        """The line that has just ended here, and those that are under way in other threads."""
        here = threading.get_ident()
        others = [at for thread, at in list(self._under_way.items()) if thread != here]
        return [self._stack(frame, line), *(self._stack(*at) for at in others)]

    def _stack(self, frame: FrameType | None, line: int | None) -> Stack:
        frames: Stack = []
        while frame is not None and len(frames) < FRAMES:
            code = frame.f_code
            frames.append([code.co_filename, line or frame.f_lineno, code.co_name])
            frame, line = frame.f_back, None
        # Equal stacks are kept once: the record of a leak must not become one.
        return self.stacks.setdefault(str(frames), frames)


def _place(stack: Stack) -> tuple[Any, ...]:
    return tuple(stack[0][:2]) if stack else ()


def _most_voted(stacks: list[Stack] | None, votes: Counter[tuple[Any, ...]]) -> Stack | None:
    """Of the suspects the one most often suspected; in doubt the one that looked."""
    return max(stacks, key=lambda stack: votes[_place(stack)]) if stacks else None


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

    def keys(self) -> list[tuple[int, int, int]]:
        # Not by name: a file that is renamed or deleted is still the one that was opened.
        found: list[tuple[int, int, int]] = []
        for name in os.listdir("/proc/self/fd"):
            try:
                about = os.fstat(int(name))
            except OSError:
                continue  # the listing's own descriptor
            found.append((int(name), about.st_dev, about.st_ino))
        return found

    def what(self, key: tuple[int, int, int]) -> str:
        try:
            return os.readlink("/proc/self/fd/" + str(key[0]))
        except OSError:
            return "a closed descriptor"


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
    """Files and folders below the folder for temporary files."""

    name = "temp_files"

    def __init__(self) -> None:
        self.folder = tempfile.gettempdir()

    def glance(self) -> list[str]:
        return self.keys()

    def keys(self) -> list[str]:
        found: list[str] = []
        for folder, folders, files in os.walk(self.folder):
            found.extend(os.path.join(folder, name) for name in folders + files)
            if len(found) > MOST_FILES:
                break
        return found

    def what(self, key: str) -> str:
        return key


_WATCHES: dict[str, Any] = {
    watch.name: watch for watch in (_Descriptors, _Threads, _Children, _Tasks, _TempFiles)
}
