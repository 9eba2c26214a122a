"""Leaks natively: 32 KiB from the C library's malloc in each call, written to and never freed."""

from __future__ import annotations

import ctypes

_BYTES = 32 << 10
_library = ctypes.CDLL(None)
_library.malloc.restype = ctypes.c_void_p
_library.malloc.argtypes = [ctypes.c_size_t]


def job() -> None:
    """Allocate, use and forget."""
    ctypes.memset(_library.malloc(_BYTES), 1, _BYTES)
