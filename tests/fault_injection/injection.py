"""Every call of a job that can fail, counted; and one of them made to fail.

The parts of the service and of the pipeline are replaced by themselves, wrapped: each call, and
each call of what it returns (reading, writing, closing), gets the next number. What parts ask of
the system below the spool folder (open, rename, delete) is numbered too.
"""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import errno
import inspect
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from reference_app.factories import ServiceFactories, make_guard, make_objects, make_store
from reference_app.memory.guard import measure
from reference_app.pipeline import PipelineFactories

KINDS = ("error", "enospc", "cancel")

#: The parts that are opened, and what is called on them afterwards.
OPENED = {
    "open_reader": ("close",),
    "make_detector": ("detect", "close"),
    "make_fallbacks": ("find",),
    "open_landmarks_csv": ("write", "finish", "close"),
    "open_writer": ("write", "finish", "close"),
    "open_folder": ("close",),
    "measure_memory": ("sample", "bytes"),
}
#: Every other part of the pipeline, a new one too, but for the clock.
CALLED = tuple(
    field.name
    for field in dataclasses.fields(PipelineFactories)
    if field.name not in (*OPENED, "clock")
)
#: What comes back from these is the end of a thing: it happens, and only then fails.
ENDS = ("close", "unlink", "remove", "delete_now", "unreserve")
#: What is asked of the record for one job. (`count` is asked when none is there, too.)
STORE = ("reserve", "unreserve", "add", "get", "position", "claim", "replace", "remove")
SYSTEM = ("open", "replace", "unlink", "mkdir", "iterdir")


class FaultInjector:
    """Numbers calls; where `at` is given, the call of that number fails in the way of `kind`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failed_call: str | None = None
        self._lock = threading.Lock()
        self._at: int | None = None
        self._kind = ""
        self._armed = False
        #: Called for a cancellation; True when there was a job to cancel.
        self.cancel: Callable[[], bool] = lambda: False

    @contextmanager
    def armed(self, at: int | None = None, kind: str = "error") -> Iterator[None]:
        """Number the calls inside the block from 1."""
        self.calls, self.failed_call, self._at, self._kind, self._armed = [], None, at, kind, True
        try:
            yield
        finally:
            self._armed = False

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with a number for each of its calls."""
        ends = name.rpartition(".")[2] in ENDS

        def call(*args: Any, **kwargs: Any) -> Any:
            failure = self._next(name)
            if failure and not ends:
                raise failure
            result = function(*args, **kwargs)
            if failure:
                raise failure
            return result

        async def call_later(*args: Any, **kwargs: Any) -> Any:
            if failure := self._next(name):
                raise failure
            return await function(*args, **kwargs)

        return call_later if inspect.iscoroutinefunction(function) else call

    def methods(self, label: str, part: Any, names: tuple[str, ...]) -> Any:
        """The part itself, with these of its methods wrapped."""
        for name in names:
            setattr(part, name, self.wrap(f"{label}.{name}", getattr(part, name)))
        return part

    def factory(self, label: str, make: Callable[..., Any], names: tuple[str, ...]) -> Any:
        """A maker whose call counts, and whose products' calls count."""
        counted = self.wrap(label, make)
        return lambda *args, **kwargs: self.methods(label, counted(*args, **kwargs), names)

    def _next(self, name: str) -> BaseException | None:
        with self._lock:
            if not self._armed:
                return None
            self.calls.append(name)
            if len(self.calls) != self._at:
                return None
            self.failed_call = name
        if self._kind == "cancel":
            return None if self.cancel() else asyncio.CancelledError("injected")
        if self._kind == "enospc":
            return OSError(errno.ENOSPC, "No space left on device")
        return own_error(name)


def own_error(name: str) -> Exception:
    """What the library behind a part itself raises."""
    import av
    import cv2

    part = name.partition(".")[0]
    if part in ("open_reader", "open_writer", "probe", "cut_preview"):
        return av.FFmpegError(5, "injected")
    if part in ("to_rgb", "draw", "plan", "write_thumbnail", "open_folder"):
        return cv2.error("injected")
    if part == "open_landmarks_csv":
        return csv.Error("injected")
    if part == "store":
        return sqlite3.OperationalError("injected")
    if part in ("objects", "system"):
        return PermissionError(errno.EACCES, "injected")
    return RuntimeError("injected")


class CountedReader:
    """An open reader whose every picture is a call."""

    def __init__(self, faults: FaultInjector, reader: Any) -> None:
        self._reader = faults.methods("open_reader", reader, OPENED["open_reader"])
        self._seams = faults

    def __iter__(self) -> Iterator[Any]:
        pictures = iter(self._reader)
        advance = self._seams.wrap("open_reader.next", lambda: next(pictures, None))
        while (picture := advance()) is not None:
            yield picture

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def pipeline_parts(faults: FaultInjector) -> PipelineFactories:
    """The pipeline's own parts, every call of them counted."""
    real = PipelineFactories()
    changed: dict[str, Any] = {
        name: faults.factory(name, getattr(real, name), methods)
        for name, methods in OPENED.items()
        if name != "open_reader"
    }
    changed |= {name: faults.wrap(name, getattr(real, name)) for name in CALLED}
    opened = faults.wrap("open_reader", real.open_reader)
    changed["open_reader"] = lambda *args, **kwargs: CountedReader(faults, opened(*args, **kwargs))
    # Without time passing there is the same number of progress reports in every run.
    changed["clock"] = lambda: 0.0
    return dataclasses.replace(real, **changed)


def app_parts(faults: FaultInjector) -> ServiceFactories:
    """The service's own parts, every call of them counted."""
    real = ServiceFactories(pipeline=pipeline_parts(faults))

    def workers(*args: Any) -> Any:
        make = real.workers(*args)
        return faults.factory("workers", make, ("run",))

    def methods(label: str, make: Callable[..., Any], *names: str) -> Any:
        return lambda *args: faults.methods(label, make(*args), names)

    return dataclasses.replace(
        real,
        store=methods("store", make_store, *STORE),
        objects=methods("objects", make_objects, "put_now", "fetch_now", "delete_now", "keys"),
        queue=methods("queue", real.queue, "put"),
        broadcaster=methods("broadcaster", real.broadcaster, "publish"),
        guard=partial(make_guard, measure=faults.wrap("guard.measure", measure)),
        workers=workers,
    )


@contextmanager
def system_calls(faults: FaultInjector, below: Path) -> Iterator[None]:
    """What is asked of the system below this folder counts as well."""
    with mock.patch.multiple(Path, **{name: _faulty(faults, below, name) for name in SYSTEM}):
        yield


def _faulty(faults: FaultInjector, below: Path, name: str) -> Any:
    real = getattr(Path, name)
    counted = faults.wrap(f"system.{name}", real)

    def call(path: Path, *args: Any, **kwargs: Any) -> Any:
        ours = str(path).startswith(str(below))
        file = (counted if ours else real)(path, *args, **kwargs)
        if ours and name == "open" and "b" in str((*args, *kwargs.values())):
            return _WrittenFile(faults, file)
        return file

    return call


class _WrittenFile:
    """A binary file whose writes can fail."""

    def __init__(self, faults: FaultInjector, file: Any) -> None:
        self._file = file
        self.write = faults.wrap("system.write", file.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _WrittenFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def chosen_turns(calls: list[str]) -> list[int]:
    """Which calls to let fail: every one, but of a loop the first, the second and the last turn."""
    total, seen, chosen = Counter(calls), Counter[str](), []
    for k, name in enumerate(calls, start=1):
        seen[name] += 1
        if seen[name] in (1, 2, total[name]):
            chosen.append(k)
    return chosen
