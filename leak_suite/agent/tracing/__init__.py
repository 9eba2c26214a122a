"""Tracing in the process that runs: what two windows of the workload leave behind, and where.

`Tracing` answers `trace_begin`, `trace_mark` and `trace_end`. Between them the workload goes on:
n iterations in the first window, 2n in the second. Survivors are what was allocated in the first
and is alive at the end of the second; a cache at its bound has turned over by then.
"""

from __future__ import annotations

import gc
import time

from ..objects import Undisturbed

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from typing import Any

__all__ = ["Tracing"]

_MOST_ROWS = 400
_MOST_OBJECT_ROWS = 60
_MOST_PATHS = 8
_LEAST_SHARE = 0.1
_HOLDER_SECONDS = 1.0
_TRACING = __file__[: -len("__init__.py")]


class Tracing:
    """One trace at a time. Nothing of the subject is kept alive after `end`."""

    def __init__(self) -> None:
        self._plan: dict[str, Any] | None = None
        self._seconds = 0.0

    def begin(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Start the first window.

        What `plan` may hold:

        own: packages that are the subject's own wherever they lie
        allocations, output, native, memray_path: see `prepared_recording`
        containers: whether to look for containers that get longer
        watch: names of `ORIGINS` that are watched
        heap: whether to charge own lines with what the C library's heap grows by under them
        objects: whether to count objects by type and line
        iterations: how many were done before

        Returns {"tool", "note"}. Raises RuntimeError where a trace runs already.
        """
        if self._plan is not None:
            raise RuntimeError("this process is being traced already")
        import ctypes  # noqa: F401 - what a trace imports must not stand in what it finds

        from . import holders  # noqa: F401
        from .allocations import prepared_recording, started
        from .containers import Containers
        from .heap import HeapWatch
        from .lines import LineTrace
        from .origins import ORIGINS, OriginWatch
        from .ownership import Ownership

        begun = time.thread_time()
        recording = prepared_recording(plan)
        self._ownership = Ownership(plan.get("own", ()))
        self._lines = LineTrace(self._ownership.is_own)
        self._origins = {}
        gc.collect()
        self._containers = None
        if plan.get("containers"):
            self._containers = Containers(plan.get("iterations", 0), self._is_ours)
        self._recording = started(recording)
        self._plan = plan
        self._origins = {name: OriginWatch(ORIGINS[name]()) for name in plan.get("watch", ())}
        self._heap = HeapWatch() if plan.get("heap") else None
        self._lines.watches = self._watches()
        if self._lines.watches:
            self._lines.start()
        self._seconds = time.thread_time() - begun
        return {"tool": self._recording.tool, "note": self._recording.note}

    def mark(self) -> dict[str, Any]:
        """End the first window and begin the second; lines that insert are watched from here on."""
        started = time.thread_time()
        self._need_plan()
        self._recording.boundary()
        for origin in self._origins.values():
            origin.end_window()
        if self._heap is not None:
            self._heap.end_window()
        if self._containers is not None:
            watches = self._containers.end_window()
            self._lines.watches = [*self._watches(), *watches]
            if watches:
                self._lines.start()
        self._seconds += time.thread_time() - started
        return {"watched": len(self._lines.watches)}

    def end(self) -> dict[str, Any]:
        """End tracing: what both windows left, in plain data.

        {"tool", "note", "exact", "seconds" of this process, "stacks": lists of (file, line,
        function, owner), innermost first, "rows", "containers", "objects", "origins", "heap"}.
        The owner of a frame is "" for own code, "-" for the instrumentation, "--" for tracing
        itself, else the library's package.
        """
        started = time.thread_time()
        plan = self._need_plan()
        try:
            origins = {name: watch.opened() for name, watch in self._origins.items()}
            self._lines.stop()
            gc.collect()
            recording = self._recording
            recording.stop()
            notes = [recording.note, "" if self._heap is None else self._heap.note]
            note = "; ".join(note for note in notes if note)
            answer: dict[str, Any] = {"tool": recording.tool, "note": note}
            answer["exact"] = recording.exact
            answer["ownership"] = self._ownership.as_data()
            for rows in origins.values():
                for row in rows:
                    row["stack"] = None if row["stack"] is None else recording.number(row["stack"])
            answer["origins"] = origins
            answer["heap"] = self._charges()
            answer["containers"] = self._grown_containers()
            wanted = plan.get("objects") or not answer["containers"]
            answer["objects"] = self._grown_objects() if wanted else []
            rows = sorted(recording.rows, key=lambda row: -max(row["bytes"][0], row["count"][0]))
            answer["rows"] = rows[:_MOST_ROWS]
            answer["stacks"] = [self._owned(stack) for stack in recording.stacks]
            self._seconds += time.thread_time() - started
            answer["seconds"] = self._seconds
            return answer
        finally:
            self.close()

    def _watches(self) -> list[Any]:
        heap = [] if self._heap is None else [self._heap]
        return [*self._origins.values(), *heap]

    def close(self) -> None:
        """Leave the process as it was, wherever tracing stands."""
        if self._plan is None:
            return
        self._plan = None
        self._lines.stop()
        self._recording.close()
        for watch in self._origins.values():
            watch.close()
        self._origins = {}
        if self._containers is not None:
            self._containers.close()
            self._containers = None

    def _need_plan(self) -> dict[str, Any]:
        if self._plan is None:
            raise RuntimeError("no trace was begun")
        return self._plan

    def _grown_containers(self) -> list[dict[str, Any]]:
        """What got longer in both windows, with its path, the inserting lines and its items."""
        from .bounds import Bounds
        from .containers import made_of
        from .holders import Holders

        if self._containers is None:
            return []
        holders = Holders(self._ownership, self._is_ours, _HOLDER_SECONDS)
        rows = self._containers.grown()
        bounds = Bounds([item for _, item in rows], self._ownership.is_own)
        grown = []
        for row, item in rows:
            row["path"], row["own"] = holders.path(item)
            row["bound"], row["bounded_by"] = bounds.of(item, row["length"])
            row["emptied"] = []
            inserted = self._containers.inserted(item)
            if row["bound"] is None:
                stacks = [stack for stack, _ in inserted]
                row["emptied"], row["bound"] = bounds.emptied(row["path"], stacks)
                row["bounded_by"] = "" if row["bound"] is None else "the length it is emptied at"
            lines = [(self._recording.number(stack), count) for stack, count in inserted]
            row["inserted"], row["also"] = lines, []
            grown.append((row, item))
        # What several hold counts for the one with an own name that nothing takes out of.
        grown.sort(key=lambda one: (not one[0]["own"], not one[0]["path"], bool(one[0]["emptied"])))
        seen: dict[int, int] = {}
        for number, (row, item) in enumerate(grown):
            first = row["inserted"][0][0] if row["inserted"] else None
            cache = bounds.cache_of(item)
            row["made"], row["sampled"], same = made_of(
                item, self._recording, first, seen, number, cache
            )
            if same is not None and row["path"]:
                grown[same][0]["also"].append(row["path"])
        return [row for row, _ in grown]

    def _charges(self) -> list[dict[str, Any]]:
        if self._heap is None:
            return []
        return [
            {"stack": self._recording.number(stack), "bytes": (first, second)}
            for stack, first, second in self._heap.charges()
        ]

    def _grown_objects(self) -> list[dict[str, Any]]:
        """Objects that the first window left, by type and stack, with the path to one of them."""
        from .containers import type_name
        from .holders import Holders

        counts: dict[Any, list[Any]] = {}
        with Undisturbed():
            for item, stack, window in self._recording.made_of_these(gc.get_objects()):
                row = counts.setdefault((type(item), stack), [[0, 0], None])
                row[0][window] += 1
                row[1] = item
        others = [pair for pair in counts.items() if self._is_of_subject(pair[0][1])]
        largest = sorted(others, key=lambda pair: -pair[1][0][0])[:_MOST_OBJECT_ROWS]
        least = _LEAST_SHARE * largest[0][1][0][0] if largest else 0
        holders = Holders(self._ownership, self._is_ours, _HOLDER_SECONDS)
        rows: list[dict[str, Any]] = []
        for (kind, stack), (count, item) in largest:
            wanted = len(rows) < _MOST_PATHS and count[0] > least
            path = holders.path(item)[0] if wanted else ""
            rows.append({"type": type_name(kind), "stack": stack, "count": count, "path": path})
        return rows

    def _is_of_subject(self, stack: int) -> bool:
        """Whether somebody else than the instrumentation is on that stack."""
        files = [file for file, _, _ in self._recording.stacks[stack]]
        others = [f for f in files if f[:1] != "<" and not self._ownership.is_instrumentation(f)]
        return bool(others) and not any(file.startswith(_TRACING) for file in files)

    def _is_ours(self, item: object) -> bool:
        """Whether an object belongs to the instrumentation."""
        return str(getattr(type(item), "__module__", "")).startswith("_leak_")

    def _owned(self, stack: Any) -> list[tuple[str, int, str, str]]:
        """The stack with the owner of each frame."""
        return [(file, line, name, self._owner(file)) for file, line, name in stack]

    def _owner(self, file: str) -> str:
        if self._ownership.is_own(file):
            return ""
        if file.startswith("<") or not file:
            return "<"
        if file.startswith(_TRACING):
            return "--"
        if self._ownership.is_instrumentation(file):
            return "-"
        return self._ownership.package(file)
