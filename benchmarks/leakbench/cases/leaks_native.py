"""Leaks below Python: malloc, mmap, NumPy and pandas."""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING, Any

from benchmarks.leakbench.cases.case import Draw, Job, leak

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@leak("heap", "rss", python_level=False)
def ctypes_malloc(draw: Draw) -> Job:
    """`malloc` without `free`, through ctypes."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    size = draw.size(64, 65536)

    def job() -> None:
        address = libc.malloc(size)  # LEAK
        ctypes.memset(address, 1, size)

    return job


@leak("heap", "rss", python_level=False)
def raw_python_malloc(draw: Draw) -> Job:
    """`PyMem_RawMalloc` without its free, as in an extension."""
    allocate = ctypes.pythonapi.PyMem_RawMalloc
    allocate.restype = ctypes.c_void_p
    allocate.argtypes = [ctypes.c_size_t]
    size = draw.size(64, 8192)

    def job() -> None:
        allocate(size)  # LEAK

    return job


@leak("rss", python_level=False)
def raw_mmap(draw: Draw) -> Job:
    """Pages mapped straight from the kernel and touched: no heap reading shows them."""
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long]
    size = 4096 * draw.size(16, 128)

    def job() -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)  # LEAK
        ctypes.memset(address, 1, size)

    return job


@leak("rss", "blocks", "gc_objects")
def anonymous_mmap(draw: Draw) -> Job:
    """Anonymous mappings kept by a list."""
    mappings: list[mmap.mmap] = []
    size = 4096 * draw.size(4, 64)

    def job() -> None:
        mapping = mmap.mmap(-1, size)  # LEAK
        mapping.write(b"x" * size)
        mappings.append(mapping)  # LEAK

    return job


@leak("heap", "blocks", "rss")
def numpy_arrays_kept(draw: Draw) -> Job:
    """A frame for every call, appended to a list."""
    import numpy as np

    frames: list[np.ndarray[Any, Any]] = []
    side = draw.size(8, 128)

    def job() -> None:
        frames.append(np.ones((side, side, 3), dtype=np.uint8))  # LEAK

    return job


@leak("heap", "blocks", "rss")
def numpy_views_pin_a_base(draw: Draw) -> Job:
    """One row kept of each frame: a view, and so the whole frame."""
    import numpy as np

    rows: list[np.ndarray[Any, Any]] = []
    side = draw.size(32, 256)

    def job() -> None:
        frame = np.ones((side, side), dtype=np.float32)  # LEAK
        rows.append(frame[0])  # LEAK

    return job


@leak("blocks", "gc_objects", "heap", "rss")
def data_frames_kept(draw: Draw) -> Job:
    """A data frame for every call, kept until there is time to join them."""
    import numpy as np
    import pandas as pd

    frames: list[pd.DataFrame] = []
    rows = draw.size(4, 400)

    def job() -> None:
        frames.append(pd.DataFrame({"x": np.arange(rows), "y": np.ones(rows)}))  # LEAK

    return job


@leak("heap", "blocks", "rss", "gc_objects")
def ctypes_buffers_kept(draw: Draw) -> Job:
    """Buffers handed to a C library and remembered for ever."""
    buffers: list[ctypes.Array[ctypes.c_char]] = []
    size = draw.size(64, 8192)

    def job() -> None:
        buffers.append(ctypes.create_string_buffer(size))  # LEAK

    return job
