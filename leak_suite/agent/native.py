"""The C library: its heap, trimming, and dying with the parent. None where it has them not.

`_ctypes` is used bare: the `ctypes` package on top of it costs five times the blocks.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["CLibrary"]

_MALLINFO_FIELDS = [
    "arena",
    "ordblks",
    "smblks",
    "hblks",
    "hblkhd",
    "usmblks",
    "fsmblks",
    "uordblks",
    "fordblks",
    "keepcost",
]
_TEXT_BYTES = 1 << 18
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


class CLibrary:
    """The functions of the C library that the process already runs on."""

    def __init__(self, platform: str = sys.platform) -> None:
        self._mallinfo: Any = None
        self._wraps_at = 0
        self._trim: Any = None
        self._prctl: Any = None
        self._malloc_info: Any = None
        self._pymalloc: Any = None
        self._into_text: Any = None
        if not platform.startswith("linux"):
            return
        try:
            import _ctypes
        except ImportError:
            return
        self._find(_ctypes)

    def _find(self, _ctypes: Any) -> None:
        handle = _ctypes.dlopen(None, 0)

        class SizeT(_ctypes._SimpleCData):  # type: ignore[misc]
            _type_ = "L"

        class CInt(_ctypes._SimpleCData):  # type: ignore[misc]
            _type_ = "i"

        class Pointer(_ctypes._SimpleCData):  # type: ignore[misc]
            _type_ = "P"

        class Char(_ctypes._SimpleCData):  # type: ignore[misc]
            _type_ = "c"

        class Text(_ctypes.Array):  # type: ignore[misc]
            _type_ = Char
            _length_ = _TEXT_BYTES

        def function(
            name: str, result: type, arguments: Sequence[type], *, holds_gil: bool = False
        ) -> Any:
            try:
                address = _ctypes.dlsym(handle, name)
            except OSError:
                return None
            body = {
                "_flags_": _ctypes.FUNCFLAG_CDECL
                | (_ctypes.FUNCFLAG_PYTHONAPI if holds_gil else 0),
                "_restype_": result,
                "_argtypes_": arguments,
            }
            return type(name, (_ctypes.CFuncPtr,), body)(address)

        def record(kind: type) -> type:
            fields = [(name, kind) for name in _MALLINFO_FIELDS]
            return type("mallinfo", (_ctypes.Structure,), {"_fields_": fields})

        self._mallinfo = function("mallinfo2", record(SizeT), ())
        if self._mallinfo is None:
            # glibc before 2.33: the same figures as C ints, which wrap at 4 GiB.
            self._mallinfo = function("mallinfo", record(CInt), ())
            self._wraps_at = 1 << 32
        self._trim = function("malloc_trim", CInt, (SizeT,))
        self._prctl = function("prctl", CInt, (CInt, SizeT, SizeT, SizeT, SizeT))
        self._malloc_info = function("malloc_info", CInt, (CInt, Pointer))
        self._pymalloc = function("_PyObject_DebugMallocStats", CInt, (Pointer,), holds_gil=True)
        # Only to be used by what asks for a text, which is nothing that is judged.
        fmemopen = function("fmemopen", Pointer, (Pointer, SizeT, Pointer))
        fclose = function("fclose", CInt, (Pointer,))
        if fmemopen is None or fclose is None:
            return

        def into_text(write: Callable[[Any], object]) -> str:
            text = Text()
            stream = fmemopen(_ctypes.addressof(text), _TEXT_BYTES, _ctypes.addressof(writing))
            if not stream:
                return ""
            try:
                write(stream)
            finally:
                fclose(stream)
            return bytes(text).partition(b"\0")[0].decode("ascii", "replace")

        class OpenMode(_ctypes.Array):  # type: ignore[misc]
            _type_ = Char
            _length_ = 2

        writing = OpenMode(b"w", b"\0")
        self._into_text = into_text

    def live_heap(self) -> int | None:
        """Bytes that are allocated and not freed, in all arenas and in mmapped blocks."""
        if self._mallinfo is None:
            return None
        info = self._mallinfo()
        if self._wraps_at:
            return int(info.uordblks % self._wraps_at + info.hblkhd % self._wraps_at)
        return int(info.uordblks + info.hblkhd)

    def malloc_bytes(self) -> tuple[int | None, int | None]:
        """(in use, freed and kept) bytes of all arenas and mmapped blocks."""
        if self._mallinfo is None:
            return None, None
        info = self._mallinfo()
        if not info.arena and not info.hblkhd:  # another allocator took its place
            return None, None
        wraps = self._wraps_at or 1 << 64
        return int(info.uordblks % wraps + info.hblkhd % wraps), int(info.fordblks % wraps)

    def malloc_text(self) -> str:
        """What `malloc_info` reports of the arenas, as XML; cut short where it is very long."""
        if self._into_text is None or self._malloc_info is None:
            return ""
        return str(self._into_text(lambda stream: self._malloc_info(0, stream)))

    def pymalloc_text(self) -> str:
        """What Python reports of its own allocator; empty where it does not use it."""
        if self._into_text is None or self._pymalloc is None:
            return ""
        return str(self._into_text(self._pymalloc))

    def trim(self) -> None:
        """Hand free pages back to the system, so that resident memory means live memory."""
        if self._trim is not None:
            self._trim(0)

    def die_with_parent(self) -> None:
        """Have the kernel kill this process when the one that started it is gone."""
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
