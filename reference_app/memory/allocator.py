"""How the C library's allocator is set to give memory back, inside a process and for its children.

glibc keeps one arena per thread and raises its own thresholds as large blocks are freed; both make
a process that works in bursts stay as big as its largest burst. Elsewhere (musl, macOS, Windows)
these calls do nothing, nor do they with ALLOCATOR=default in the environment, which shows what
the service would need without them.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os

__all__ = ["configure_memory", "release_memory", "worker_environment"]

THRESHOLD_BYTES = 128 * 1024

# Numbers of the options in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def _wanted() -> bool:
    return os.environ.get("ALLOCATOR", "tuned") != "default"


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if not _wanted():
        return None
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):
        return None
    if not version:
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None


def configure_memory() -> bool:
    """Keep this process to one arena and fixed thresholds; True where the allocator took it."""
    library = _glibc()
    if library is None:
        return False
    options = {
        _M_ARENA_MAX: 1,
        _M_TRIM_THRESHOLD: THRESHOLD_BYTES,
        _M_MMAP_THRESHOLD: THRESHOLD_BYTES,
    }
    taken = [library.mallopt(option, value) == 1 for option, value in options.items()]
    return all(taken)


def release_memory() -> None:
    """Free what is unreachable and hand the free pages back to the system."""
    gc.collect()
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def worker_environment() -> dict[str, str]:
    """Variables for a process that is about to start, so that it is configured from its first byte.

    The thread counts are one because two jobs side by side already fill the machine, and every
    further thread brings buffers of its own.
    """
    allocator = {
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_TRIM_THRESHOLD_": str(THRESHOLD_BYTES),
        "MALLOC_MMAP_THRESHOLD_": str(THRESHOLD_BYTES),
    }
    return {
        **(allocator if _wanted() else {}),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        # glog and absl write a line per detector to the error stream otherwise.
        "GLOG_minloglevel": "2",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
