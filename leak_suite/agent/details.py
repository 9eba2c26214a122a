"""What is behind a number: paths, names, types. Only asked for when the number grew."""

from __future__ import annotations

import gc
import sys

from .objects import Undisturbed

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable
    from typing import Any

    from .metric_reader import MetricReader

__all__ = ["DETAILS", "describe"]

_MOST = 200
_COUNTED = 200_000  # objects that can be looked at in some hundredths of a second


def _fds(reader: MetricReader) -> list[Any]:
    return reader.proc.open_files()[:1000]


def _threads(reader: MetricReader) -> list[Any]:
    threading = sys.modules.get("threading")
    known = {}
    if threading is not None:
        for thread in threading.enumerate():
            known[thread.native_id] = thread
    frames = sys._current_frames()
    return [
        (tid, name, *_thread(known.get(tid), frames)) for tid, name in reader.proc.thread_names()
    ][:_MOST]


def _thread(thread: Any, frames: Any) -> tuple[str, str, str]:
    """(Python's name for it, file:line of what it runs, file:line where it is now)."""
    if thread is None:
        return ("", "", "")
    code = getattr(getattr(thread, "_target", None) or type(thread).run, "__code__", None)
    target = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
    frame = frames.get(thread.ident)
    now = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
    return (thread.name, target, now)


def _gc_objects(reader: MetricReader) -> list[Any]:
    """How many of each type, most frequent first; estimated where there are very many objects."""
    reader.thaw()
    counts: dict[type, int] = {}
    with Undisturbed():
        objects = gc.get_objects()
        each = max(1, len(objects) // _COUNTED)
        for item in objects[::each]:
            kind = type(item)
            counts[kind] = counts.get(kind, 0) + each
        del objects, item
    rows = [(f"{kind.__module__}.{kind.__qualname__}", count) for kind, count in counts.items()]
    return sorted(rows, key=lambda row: -row[1])[:_MOST]


def _tasks(reader: MetricReader) -> list[Any]:
    return reader.tasks.describe()


def _lru_caches(reader: MetricReader) -> list[Any]:
    """(function, file:line, entries, most entries or None) of each functools cache."""
    reader.thaw()
    found: list[Any] = []
    functools = sys.modules.get("functools")
    if functools is None:
        return found
    wrapper = type(functools.lru_cache(lambda: None))
    with Undisturbed():
        caches = [item for item in gc.get_objects() if type(item) is wrapper]
    for item in caches:
        code = getattr(getattr(item, "__wrapped__", None), "__code__", None)
        place = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
        info = item.cache_info()
        found.append((getattr(item, "__qualname__", "?"), place, info.currsize, info.maxsize))
    return found[:_MOST]


def _temp_files(reader: MetricReader) -> list[Any]:
    return [(name,) for name in sorted(reader.temp_names())[:1000]]


def _children(reader: MetricReader) -> list[Any]:
    found: list[Any] = []
    for pid in reader.proc.child_pids() or []:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        name = text[text.find("(") + 1 : text.rfind(")")]
        found.append((pid, name, text[text.rfind(")") + 2]))
    return found


def _garbage(_: MetricReader) -> list[Any]:
    return [(repr(type(item)),) for item in gc.garbage[:_MOST]]


def _tracked(reader: MetricReader) -> list[Any]:
    return [row for tracked in reader.tracked for row in tracked.describe()]


DETAILS: dict[str, Callable[[MetricReader], list[Any]]] = {
    "fds": _fds,
    "threads": _threads,
    "python_threads": _threads,
    "gc_objects": _gc_objects,
    "tasks": _tasks,
    "lru_caches": _lru_caches,
    "temp_files": _temp_files,
    "temp_bytes": _temp_files,
    "children": _children,
    "garbage": _garbage,
    "tracked": _tracked,
}


def describe(reader: MetricReader, kind: str) -> list[Any]:
    """The rows behind `kind`; an empty list for what has none."""
    rows = DETAILS.get(kind.partition(":")[0])
    return [] if rows is None else rows(reader)
