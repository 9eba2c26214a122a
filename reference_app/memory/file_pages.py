"""Gives up the pages of libraries that were only read while they were being loaded."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path

__all__ = ["release_file_pages", "unchanged_mappings"]

_MADV_DONTNEED = 4
_MAPS = Path("/proc/self/smaps")


def release_file_pages() -> None:
    """Give up the pages of files that are as in their files; one that is used comes back.

    Loading a library touches much of it that is never looked at again. The pages stay in the
    kernel's cache as long as there is room; from there one comes back without reading the disk.
    A mapping with a page that this process has changed is left alone: the change would be lost.
    """
    try:
        # Line by line: the whole of it would leave 2 MiB behind that Python keeps.
        with _MAPS.open(encoding="ascii", errors="replace") as lines:
            found = unchanged_mappings(lines)
    except OSError:
        return
    libc = ctypes.CDLL(None)
    for first, last in found:
        # The kernel refuses what it cannot give up; then it stays.
        libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_DONTNEED)


def unchanged_mappings(lines: Iterable[str]) -> list[tuple[int, int]]:
    """Where the mappings of files begin and end that hold no page of the process's own."""
    found: list[tuple[int, int]] = []
    at: tuple[int, int] | None = None
    for line in lines:
        name, *words = line.split()
        if not name.endswith(":"):
            first, last = (int(number, 16) for number in name.split("-"))
            # What may not be written cannot change between the look and the release.
            is_file = len(words) > 4 and words[4].startswith("/") and words[0][1] == "-"
            at = (first, last) if is_file else None
        elif name == "Anonymous:" and at is not None and words[0] == "0":
            found.append(at)
    return found
