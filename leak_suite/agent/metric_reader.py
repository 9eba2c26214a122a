"""Settling the subject and reading every metric of it."""

from __future__ import annotations

import gc
import os
import sys
import time

from .native import CLibrary
from .objects import count_objects
from .proc import Proc
from .tasks import Tasks

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable

    from .tracked import Counter, TrackedClass

__all__ = ["METRICS", "MetricReader"]

METRICS = [
    "blocks",
    "gc_objects",
    "heap",
    "garbage",
    "rss",
    "rss_anon",
    "fds",
    "threads",
    "python_threads",
    "tasks",
    "children",
    "temp_files",
    "temp_bytes",
]

_COLLECTIONS = 3
_DEAR_COLLECTION = 0.01  # seconds; among so many objects the few that another pass finds are lost
_RECOUNT_ABOVE = 64
_STABLE_PAUSE = 0.002
_LONGEST_FALL = 4  # waits, while a count falls: a task that a second bounds is gone by then


class MetricReader:
    """Reads this process. What the agent itself holds (pipes, its thread) is left out.

    Values are None where they are not known; a metric put into `blind` stays None for good.
    """

    def __init__(self, temp_dir: str, own_fds: int = 0, own_threads: int = 0) -> None:
        self.library = CLibrary()
        self.proc = Proc()
        self.tasks = Tasks()
        self.tracked: list[TrackedClass] = []
        self.counters: list[Counter] = []
        self.blind: dict[str, str] = {}
        self.frozen = self._others = 0
        self.spin: Callable[[], None] | None = None
        self.max_wait = self._wait = 0.1
        self._rest: int | None = None
        self._temp_dir = temp_dir
        self._own_fds = own_fds
        self._own_threads = own_threads

    def settle(self) -> float:
        """Let what is over be over: garbage, ending threads and tasks, free pages.

        Returns the seconds that it waited.
        """
        if self.spin is not None:
            self.spin()
        waited = self._wait_until_stable()
        for _ in range(_COLLECTIONS):
            started = time.thread_time()
            found = gc.collect()
            if not found or time.thread_time() - started > _DEAR_COLLECTION:
                break
        self.library.trim()
        return waited

    def _wait_until_stable(self) -> float:
        """A thread just joined, or a task just answered, is still counted for a moment.

        While a count is above its level at rest, it is given time to fall, and as long as it does
        fall, more of it; a count that really rose costs one wait, shorter each time. Only what
        stayed for a whole wait is a new level at rest: a reading in the middle of a fall, taken for
        one, would be the least that any later reading could show, and the series a staircase.
        """
        counts = first = self._passing()
        waited = still = 0.0
        while (
            self._rest is not None
            and counts > self._rest
            and still < self._wait
            and waited < _LONGEST_FALL * self.max_wait
        ):
            time.sleep(_STABLE_PAUSE)
            waited += _STABLE_PAUSE
            if self.spin is not None:
                self.spin()
            before, counts = counts, self._passing()
            still = 0.0 if counts < before else still + _STABLE_PAUSE
        if self._rest is None or counts <= self._rest or counts < first:
            self._wait = self.max_wait
        else:  # in vain: next time less of it
            self._wait = max(0.01, self._wait / 2)
        if self._rest is None or counts <= self._rest or still >= self.max_wait:
            self._rest = counts
        return waited

    def _passing(self) -> int:
        proc = self.proc
        counts = (proc.threads(), proc.children(), proc.fds(), self.tasks.read())
        return sum(count or 0 for count in counts)

    def freeze(self) -> None:
        """Take what is there now out of the collector's way.

        A full collection under a large import costs more than most rounds; afterwards it costs
        what the workload itself keeps. Done before and after the first iteration and not later:
        the entries of a cache must stay collectable. Where the subject has frozen objects itself,
        nothing is done: Python cannot give back some of them only.
        """
        gc.collect()
        if self.frozen or not gc.get_freeze_count():
            gc.freeze()
            self.frozen = gc.get_freeze_count()
        self._others = count_objects()

    def adopt_frozen(self) -> None:
        """In a forked child: what the parent's agent froze is this one's to give back."""
        self.frozen = gc.get_freeze_count()
        self._others = count_objects()

    def thaw(self) -> None:
        """Give everything back to the collector."""
        if self.frozen:
            gc.unfreeze()
            self.frozen = 0

    def read(self) -> dict[str, float | None]:
        """Every metric now, by name. Settle first."""
        # The order matters: what this function itself builds must not stand in the first three.
        blocks = sys.getallocatedblocks()
        objects = self.gc_objects()
        heap = self.library.live_heap()
        rss, anonymous, _ = self.proc.memory()
        temp_files, temp_bytes = self._temp()
        values: dict[str, float | None] = {
            "blocks": blocks or None,
            "gc_objects": objects,
            "heap": heap,
            "garbage": None if gc.get_debug() & gc.DEBUG_SAVEALL else len(gc.garbage),
            "rss": rss,
            "rss_anon": anonymous,
            "fds": _less(self.proc.fds(), self._own_fds),
            "threads": _less(self.proc.threads(), self._own_threads),
            "python_threads": self.python_threads(),
            "tasks": self.tasks.read(),
            "children": self.proc.children(),
            "temp_files": temp_files,
            "temp_bytes": temp_bytes,
        }
        for metric in self.blind:
            values[metric] = None
        for tracked in self.tracked:
            values["tracked:" + tracked.name] = tracked.read()
        for counter in self.counters:
            values["counter:" + counter.name] = counter.read()
        return values

    def gc_objects(self) -> int:
        """How many objects the collector knows, the frozen ones included.

        Counting the frozen ones is dear and they can only get fewer, so that is only done where
        the others got more: these may have taken their place.
        """
        others = count_objects()
        if self.frozen and others > self._others + _RECOUNT_ABOVE:
            self.frozen = gc.get_freeze_count()
            self._others = others
        return others + self.frozen

    def python_threads(self) -> int:
        """Threads that Python started and that are not done, and the main one."""
        return int(sys.modules["_thread"]._count()) + 1 - self._own_threads

    def quick_sample(self) -> tuple[int, int, int, int, int]:
        """(resident bytes, descriptors, threads, children, temp files): cheap, for the guard."""
        return (
            self.proc.resident() or 0,
            self.proc.fds() or 0,
            self.proc.threads() or 0,
            self.proc.children() or 0,
            self._top_level_temp_files(),
        )

    def _top_level_temp_files(self) -> int:
        try:
            return len(os.listdir(self._temp_dir)) if self._temp_dir else 0
        except OSError:
            return 0

    def _temp(self) -> tuple[int | None, int | None]:
        if not self._temp_dir:
            return None, None
        files = size = 0
        folders = [self._temp_dir]
        while folders:
            try:
                entries = os.scandir(folders.pop())
            except OSError:
                continue
            with entries:
                for entry in entries:
                    files += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        continue
                    try:
                        size += entry.stat(follow_symlinks=False).st_size
                    except OSError:
                        files -= 1
        return files, size

    def temp_names(self) -> list[str]:
        """Paths of what lies under the temporary folder, relative to it."""
        found: list[str] = []
        for folder, folders, files in os.walk(self._temp_dir or os.devnull):
            found += [os.path.relpath(os.path.join(folder, name), self._temp_dir)
                      for name in folders + files]  # fmt: skip
        return found


def _less(value: int | None, own: int) -> int | None:
    return None if value is None else value - own
