"""Drop files from the page cache: what is cached already is not charged to the service."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from leak_suite.fit.result import PageCacheDrop

__all__ = ["cached_bytes", "drop_page_cache"]

_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_WARM_SHARE = 0.02


def drop_page_cache(paths: Iterable[str]) -> PageCacheDrop:
    """Drop these files from the page cache; as root all clean pages, if they stay cached."""
    files = [path for path in paths if _is_file(path)]
    total = sum(Path(path).stat().st_size for path in files)
    for path in files:
        _advise(path)
    method, left = "posix_fadvise", cached_bytes(files)
    if (left is None or left > _WARM_SHARE * total) and _drop_everything():
        method, left = "posix_fadvise and drop_caches", cached_bytes(files)
    return PageCacheDrop(method, len(files), total, left)


def _is_file(path: str) -> bool:
    return (
        path.startswith("/") and not path.startswith(("/dev/", "/proc/")) and Path(path).is_file()
    )


def _advise(path: str) -> None:
    if not hasattr(os, "posix_fadvise"):
        return
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _drop_everything() -> bool:
    try:
        os.sync()
        _DROP_CACHES.write_text("1\n")
    except OSError:
        return False
    return True


def cached_bytes(paths: Iterable[str]) -> int | None:
    """Bytes of these files that are in the page cache; None where the kernel does not report it."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "mincore"):
        return None
    total = 0
    for path in paths:
        pages = _pages_of(library, path)
        if pages is None:
            return None
        total += pages * mmap.PAGESIZE
    return total


def _pages_of(library: ctypes.CDLL, path: str) -> int | None:
    try:
        size = Path(path).stat().st_size
        if size == 0:
            return 0
        with Path(path).open("rb") as file:
            # A private copy, since only a writable mapping says where it is. Nothing is touched.
            mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    except OSError:
        return None
    first = ctypes.c_char.from_buffer(mapping)
    try:
        answer = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
        address = ctypes.c_void_p(ctypes.addressof(first))
        if library.mincore(address, ctypes.c_size_t(size), answer) != 0:
            return None
        return sum(page & 1 for page in bytes(answer))
    finally:
        del first
        mapping.close()
