"""Recording allocations in a process that runs: what two windows took and what is left of it.

memray sees all allocators; tracemalloc, where memray cannot be, sees Python's only. Both answer
with rows of survivors by stack, and with the stack that a live object was allocated in.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from .lines import Stack

__all__ = ["Recording", "prepared_recording", "started"]

FRAMES = 40
_TRACEMALLOC_FRAMES = 25  # its time goes up with each
_BOUNDARY = (1 << 20) + 8191
"""The size of an allocation that parts the windows in the record."""
_MOST_RECORDS = 20_000_000
"""Above this, reading them one by one would take too long."""
_PYMALLOC = (2, 3, 4)
_FREE, _MMAP, _MUNMAP = (1, 5), 14, 15
_ARENAS = (1 << 18, 1 << 20)
_SMALL = 512
"""Up to so many bytes pymalloc serves from its arenas."""


class Recording:
    """No recording at all; the interface of the other two.

    A row of `rows` is {"stack": index, "kind": ..., "native": frames,
    "bytes": (first, second), "count": (first, second)} of what is alive at the end, by the window
    that it was allocated in: "small" from pymalloc's arenas, "large" by Python through malloc,
    "native" by other code, "mapped" if it mapped memory.
    """

    tool = "none"
    note = ""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.stacks: list[Stack] = []
        self.exact = True  # whether the windows could be told apart
        self._numbers: dict[Any, int] = {}

    def start(self) -> None:
        """Begin to record."""

    def boundary(self) -> None:
        """The first window ends here."""

    def stop(self) -> None:
        """End recording and fill `rows`."""

    def made(self, item: object) -> tuple[int, int] | None:
        """(index of the stack that `item` was allocated in, window); None if it is not known."""
        del item
        return None

    def made_of_these(self, items: Iterable[Any]) -> Iterator[tuple[Any, int, int]]:
        """(item, stack index, window) of those whose allocation is known."""
        for item in items:
            made = self.made(item)
            if made is not None:
                yield (item, *made)

    def close(self) -> None:
        """Forget everything about single allocations."""

    def number(self, stack: Stack) -> int:
        """The index of a stack in `stacks`, to which it is added if it is new."""
        key = tuple(stack)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.stacks)
            self.stacks.append(stack)
        return found


class _Memray(Recording):
    """The record that memray keeps of each allocation, read when the windows are over."""

    tool = "memray"

    def __init__(self, memray: Any, output: str, native: bool) -> None:
        super().__init__()
        self._memray = memray
        self._output = output
        self._native = native
        self._live: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
        self._indices: dict[Any, int] = {}
        self._libraries = _Libraries()
        self._native_keys: dict[Any, Any] = {}
        self._joined: dict[Any, dict[str, Any]] = {}
        self._reader: Any = None
        self._active = False
        self._tracker = memray.Tracker(
            output,
            native_traces=native,
            trace_python_allocators=True,
            memory_interval_ms=1000,
            file_format=memray.FileFormat.ALL_ALLOCATIONS,
        )

    def start(self) -> None:
        self._tracker.__enter__()
        self._active = True

    def boundary(self) -> None:
        bytearray(_BOUNDARY - 1)

    def stop(self) -> None:
        self._active = False
        self._tracker.__exit__(None, None, None)
        try:
            self._reader = self._memray.FileReader(self._output, max_memory_records=16)
        finally:
            os.unlink(self._output)  # the reader has it open
        if self._reader.metadata.total_allocations > _MOST_RECORDS:
            self.exact = False
            self.note = "too many allocations to tell the windows apart"
            for record in self._reader.get_leaked_allocation_records(merge_threads=True):
                self._add(record, 0, record.n_allocations)
        else:
            self._read()
        self.rows = list(self._joined.values())

    def _read(self) -> None:
        live, later = self._live
        free, size = (*_FREE, _MUNMAP), _BOUNDARY
        window = live
        for record in self._reader.get_allocation_records():
            address = record.address
            if record.allocator in free:
                if live.pop(address, None) is None:
                    later.pop(address, None)
                continue
            if record.size == size and self._is_boundary(record):
                window = later
            live.pop(address, None)
            window[address] = record
        for number, records in enumerate(self._live):
            for record in records.values():
                self._add(record, number, 1)

    def _is_boundary(self, record: Any) -> bool:
        stack = record.stack_trace(1)
        return bool(stack) and stack[0][1] == __file__

    def _add(self, record: Any, window: int, count: int) -> None:
        size, allocator = record.size, record.allocator
        if allocator == _MMAP and size // count in _ARENAS:
            return  # the arena of Python's small allocations, which are recorded one by one
        kind = "mapped" if allocator == _MMAP else "native"
        if allocator in _PYMALLOC:
            kind = "small" if size <= _SMALL * count else "large"
        key = (self._stack_index(record), self._native_key(record), kind)
        row = self._joined.get(key)
        if row is None:
            row = self._joined[key] = {
                "stack": key[0],
                "kind": kind,
                "bytes": [0, 0],
                "count": [0, 0],
                "native": self._native_frames(record) if self._native else [],
            }
        row["bytes"][window] += size
        row["count"][window] += count

    def _stack_index(self, record: Any) -> int:
        index = self._indices.get(record.stack_id)
        if index is None:
            stack = [(file, line, name) for name, file, line in record.stack_trace(FRAMES)]
            index = self._indices[record.stack_id] = self.number(stack)
        return index

    def _native_key(self, record: Any) -> Any:
        """By the names of native frames: threads that do the same have one."""
        if not self._native:
            return None
        identity = record.native_stack_id
        key = self._native_keys.get(identity)
        if key is None:
            frames = tuple(self._native_frames(record))
            key = self._native_keys[identity] = self._native_keys.setdefault(frames, identity)
        return key

    def _native_frames(self, record: Any) -> list[tuple[str, str]]:
        """(function, source file or else library) of each frame, innermost first."""
        return [
            (name, self._libraries.of(name) if file in _UNKNOWN else file)
            for name, file, _ in record.native_stack_trace(FRAMES)
        ]

    def made(self, item: object) -> tuple[int, int] | None:
        address = id(item) - _header(type(item))
        for window, live in enumerate(self._live):
            record = live.get(address)
            if record is not None:
                return self._stack_index(record), window
        return None

    def made_of_these(self, items: Iterable[Any]) -> Iterator[tuple[Any, int, int]]:
        # Of a million objects a few are new: of the others nothing is asked but where they are.
        first, second = self._live
        places = {place + header for live in self._live for place in live for header in _HEADERS}
        headers: dict[type, int] = {}
        for item in [item for item in items if id(item) in places]:
            kind = type(item)
            try:
                address = id(item) - headers[kind]
            except KeyError:
                address = id(item) - headers.setdefault(kind, _header(kind))
            if address in first:
                yield item, self._stack_index(first[address]), 0
            elif address in second:
                yield item, self._stack_index(second[address]), 1

    def close(self) -> None:
        self._live = ({}, {})
        if self._active:
            self._active = False
            self._tracker.__exit__(None, None, None)
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class _Kept(Recording):
    """memray's record in a file that somebody else reads: a flamegraph is drawn of it."""

    tool = "memray"

    def __init__(self, memray: Any, plan: dict[str, Any]) -> None:
        super().__init__()
        forms = memray.FileFormat
        self._active = False
        self._tracker = memray.Tracker(
            plan["output"],
            native_traces=bool(plan.get("native")),
            trace_python_allocators=bool(plan.get("python_allocators")),
            file_format=forms.ALL_ALLOCATIONS
            if plan.get("every")
            else forms.AGGREGATED_ALLOCATIONS,
        )

    def start(self) -> None:
        self._tracker.__enter__()
        self._active = True

    def stop(self) -> None:
        if self._active:
            self._active = False
            self._tracker.__exit__(None, None, None)

    def close(self) -> None:
        self.stop()


class _Tracemalloc(Recording):
    """tracemalloc's live blocks by stack at the end of each window; the difference is growth."""

    tool = "tracemalloc"

    def __init__(self, note: str) -> None:
        super().__init__()
        import tracemalloc

        self.note = note
        self._tracemalloc = tracemalloc
        self._foreign = tracemalloc.is_tracing()
        if self._foreign:
            self.note += "; the subject traces itself with tracemalloc, and is left tracing"
        self._read_object: Any = None
        self._first: dict[Any, tuple[int, int]] = {}
        self._before: dict[Any, tuple[int, int]] = {}

    def start(self) -> None:
        self._tracemalloc.start(_TRACEMALLOC_FRAMES)
        if self._foreign:
            self._before = self._totals()

    def boundary(self) -> None:
        self._first = self._totals()

    def stop(self) -> None:
        last = self._totals()
        self._read_object = _traceback_reader()
        for traceback, (size, count) in last.items():
            size0, count0 = self._before.get(traceback, (0, 0))
            size1, count1 = self._first.get(traceback, (size0, count0))
            if (size, count) == (size0, count0):
                continue
            self.rows.append(
                {
                    "stack": self._frames(traceback),
                    "kind": "small" if size <= _SMALL * count else "large",
                    "bytes": [size1 - size0, size - size1],
                    "count": [count1 - count0, count - count1],
                    "native": [],
                }
            )

    def _totals(self) -> dict[Any, tuple[int, int]]:
        """(bytes, blocks) by traceback, outermost frame last."""
        totals: dict[Any, tuple[int, int]] = {}
        for _, size, traceback, *_rest in sys.modules["_tracemalloc"]._get_traces():
            known = totals.get(traceback, (0, 0))
            totals[traceback] = known[0] + size, known[1] + 1
        return totals

    def _frames(self, traceback: Any) -> int:
        return self.number([(file, line, "") for file, line in traceback])

    def made(self, item: object) -> tuple[int, int] | None:
        if self._read_object is None:
            return None
        traceback = self._read_object(item)
        return None if traceback is None else (self._frames(traceback), 0)

    def close(self) -> None:
        self._read_object = None
        if not self._foreign:
            self._tracemalloc.stop()


class _Libraries:
    """Which library exports a function; memray names source files, where there are any."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._handles: list[tuple[str, int]] | None = None

    def of(self, function: str) -> str:
        """The path of the library, or "" where none of those in this process exports it."""
        if not function.isidentifier():
            return ""
        if function not in self._known:
            self._known[function] = self._look_up(function)
        return self._known[function]

    def _look_up(self, function: str) -> str:
        import _ctypes

        if self._handles is None:
            self._handles = []
            with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
                paths = {line.split(maxsplit=5)[-1].strip() for line in file if ".so" in line}
            for path in sorted(paths):
                try:
                    self._handles.append(
                        (path, _ctypes.dlopen(path, os.RTLD_LAZY | os.RTLD_NOLOAD))
                    )
                except OSError:  # noqa: PERF203 - a file that is only mapped
                    continue
        for path, handle in self._handles:
            try:
                address = _ctypes.dlsym(handle, function)
            except OSError:
                continue
            # A library answers for those that it needs too.
            if address and self._maps(path, address):
                return path
        return ""

    def _maps(self, path: str, address: int) -> bool:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            for line in file:
                low, _, high = line.split(maxsplit=1)[0].partition("-")
                if int(low, 16) <= address < int(high, 16):
                    return line.rstrip().endswith(path)
        return False


_UNKNOWN = ("", "???", "<unknown>")


def prepared_recording(plan: dict[str, Any]) -> Recording:
    """What records as `plan` says; all that it needs is imported, and nothing is recorded yet.

    "allocations" is "memray", "tracemalloc", "none", or "kept" for a file of memray's that stays,
    with "every" allocation or their sums, "python_allocators" apart or not; "output" is the file
    that memray may write; "native" asks for native frames; "memray_path" is a folder to import
    memray from where the subject has none.

    Raises:
        RuntimeError: a file is to be kept, and memray cannot be used.
    """
    tool = plan.get("allocations", "none")
    if tool == "none":
        return Recording()
    if tool == "kept":
        try:
            return _with_memray(plan, lambda memray: _Kept(memray, plan))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise RuntimeError(
                f"memray cannot be used in the subject's environment: {reason}"
            ) from error
    if tool == "memray":
        output, native = plan["output"], bool(plan.get("native"))
        try:
            return _with_memray(plan, lambda memray: _Memray(memray, output, native))
        except Exception as error:  # none there, or a broken one
            return _Tracemalloc(_instead(error))
    return _Tracemalloc("")


def started(recording: Recording) -> Recording:
    """The recording, begun; another where memray records for somebody else already."""
    try:
        recording.start()
    except Exception as error:
        if not isinstance(recording, _Memray):
            raise
        recording = _Tracemalloc(_instead(error))
        recording.start()
    return recording


def _instead(error: Exception) -> str:
    return (
        f"memray cannot be used there ({type(error).__name__}: {error}), and tracemalloc, "
        "which took its place, sees Python's allocations only"
    )


def _with_memray(plan: dict[str, Any], make: Callable[[Any], Recording]) -> Recording:
    """With memray of the subject's environment, or the controller's where its build fits."""
    from importlib.machinery import EXTENSION_SUFFIXES

    try:
        import memray
    except ImportError:
        folder = plan.get("memray_path", "")
        built = os.path.join(folder, "memray", "_memray" + EXTENSION_SUFFIXES[0])
        if not folder or not os.path.exists(built):
            raise
        sys.path.append(folder)
        try:
            import memray

            return make(memray)  # which imports more
        finally:
            sys.path.remove(folder)
    return make(memray)


def _traceback_reader() -> Any:
    """A function from an object to the frames that it was made in, innermost first, or None."""
    import _tracemalloc  # its public face makes an object per frame

    read_object = vars(_tracemalloc)["_get_object_traceback"]
    if sys.version_info[:2] != (3, 11):
        return read_object

    # 3.11 puts two words before instances with a managed dictionary, and looks past their trace.
    import ctypes

    api = ctypes.PyDLL(None)
    by_address = api._PyTraceMalloc_GetTraceback
    by_address.argtypes = [ctypes.c_uint, ctypes.c_size_t]
    by_address.restype = ctypes.py_object

    def read(item: object) -> Any:
        header = _header(type(item))
        return by_address(0, id(item) - header) if header > _GC_HEADER else read_object(item)

    return read


_GC_HEADER = 16
_HEADERS = (0, 16, 32)
"""All that `_header` may answer."""
_HAVE_GC, _MANAGED_DICT, _MANAGED_WEAKREF = 1 << 14, 1 << 4, 1 << 3


def _header(kind: type) -> int:
    """Bytes between the start of an object's allocation and its address.

    The collector's two words, and from 3.11 on two words for a managed dictionary or weak
    references (Objects/typeobject.c, _PyType_PreHeaderSize).
    """
    flags = kind.__flags__
    header = _GC_HEADER if flags & _HAVE_GC else 0
    managed = _MANAGED_DICT
    if sys.version_info >= (3, 12):
        managed |= _MANAGED_WEAKREF
    if sys.version_info >= (3, 11) and flags & managed:
        header += 16
    return header
