"""Pages that a forked process has copied: it shared them with its parent, and has them alone."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Inherited"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PRESENT, _OF_FILE, _EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56
"""Bits of /proc/PID/pagemap, which a process of the same user may read (Linux 4.2 and later)."""
_LARGEST = 8 << 30
"""Address ranges beyond this are reserved rather than used."""


@dataclass(frozen=True)
class _Range:
    start: int
    pages: tuple[bool, ...]


class Inherited:
    """What a parent had in memory when its child was first seen, to tell the child's copies by.

    A page at the same address that the child has to itself is a copy: both had it, and one of them
    wrote to it. Pages that a child took only later are not, nor are those of a parent that it never
    shared.
    """

    def __init__(self, parent: int, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._ranges = [
            _Range(start, tuple(bool(page & _PRESENT) for page in pages))
            for start, end in _private_ranges(proc / str(parent))
            for pages in [_pages(proc / str(parent), start, end)]
            if any(page & _PRESENT for page in pages)
        ]

    def copied(self, child: int) -> int | None:
        """Bytes that the process has copied; None where the kernel does not tell."""
        if not self._ranges:
            return None
        folder = self._proc / str(child)
        count = 0
        for one in self._ranges:
            pages = _pages(folder, one.start, one.start + len(one.pages) * _PAGE)
            if len(pages) < len(one.pages):
                return None
            count += _count(one.pages, pages)
        return count * _PAGE


def _count(before: tuple[bool, ...], pages: array[int]) -> int:
    wanted, mask = _PRESENT | _EXCLUSIVE, _PRESENT | _EXCLUSIVE | _OF_FILE
    return sum(was and page & mask == wanted for was, page in zip(before, pages, strict=True))


def _private_ranges(folder: Path) -> Iterator[tuple[int, int]]:
    """Address ranges that the process may write to and does not share by intent."""
    try:
        lines = (folder / "maps").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        addresses, permissions, *_ = line.split(maxsplit=2)
        start, end = (int(number, 16) for number in addresses.split("-"))
        if permissions[1] == "w" and permissions[3] == "p" and end - start <= _LARGEST:
            yield start, end


def _pages(folder: Path, start: int, end: int) -> array[int]:
    """An entry for each page; none where they cannot be read."""
    entries = array("Q")
    try:
        with (folder / "pagemap").open("rb", buffering=0) as file:
            file.seek(start // _PAGE * entries.itemsize)
            data = file.read((end - start) // _PAGE * entries.itemsize)
    except OSError:
        return entries
    entries.frombytes(data[: len(data) // entries.itemsize * entries.itemsize])
    return entries
