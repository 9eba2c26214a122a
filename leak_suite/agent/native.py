"""The C library: live heap bytes, trimming, and dying with the parent. None where it has them not.

`_ctypes` is used bare: the `ctypes` package on top of it costs five times the blocks.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Sequence
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
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


class CLibrary:
    """The functions of the C library that the process already runs on."""

    def __init__(self, platform: str = sys.platform) -> None:
        self._mallinfo: Any = None
        self._wraps_at = 0
        self._trim: Any = None
        self._prctl: Any = None
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

        def function(name: str, result: type, arguments: Sequence[type]) -> Any:
            try:
                address = _ctypes.dlsym(handle, name)
            except OSError:
                return None
            body = {
                "_flags_": _ctypes.FUNCFLAG_CDECL,
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

    def live_heap(self) -> int | None:
        """Bytes that are allocated and not freed, in all arenas and in mmapped blocks."""
        if self._mallinfo is None:
            return None
        info = self._mallinfo()
        if self._wraps_at:
            return int(info.uordblks % self._wraps_at + info.hblkhd % self._wraps_at)
        return int(info.uordblks + info.hblkhd)

    def trim(self) -> None:
        """Hand free pages back to the system, so that resident memory means live memory."""
        if self._trim is not None:
            self._trim(0)

    def die_with_parent(self) -> None:
        """Have the kernel kill this process when the one that started it is gone."""
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
