"""What the allocators of this process hold: in use, and freed but kept."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from .native import CLibrary

__all__ = ["composition", "pymalloc_bytes"]

_ARENAS = re.compile(r"^(\d+) arenas \* \d+ bytes/arena\s+=\s+([\d,]+)$", re.MULTILINE)
_IN_USE = re.compile(r"^# bytes in allocated blocks\s+=\s+([\d,]+)$", re.MULTILINE)
_HEAP = re.compile(r"<heap nr=")


def composition(library: CLibrary) -> dict[str, int | None]:
    """Bytes by allocator, with nothing settled first; None where it cannot be read.

    `python_used` and `python_kept` are of Python's own allocator, for objects up to 512 bytes;
    `malloc_used` and `malloc_kept` of the C library, for all else; `arenas` counts its arenas.
    """
    # Before the texts, for which the C library allocates.
    used, kept = library.malloc_bytes()
    python_used, python_kept = pymalloc_bytes(library.pymalloc_text())
    arenas = len(_HEAP.findall(library.malloc_text())) or None
    return {
        "pid": os.getpid(),
        "python_used": python_used,
        "python_kept": python_kept,
        "malloc_used": used,
        "malloc_kept": kept,
        "arenas": arenas,
    }


def pymalloc_bytes(text: str) -> tuple[int | None, int | None]:
    """(in use, kept) from what `sys._debugmallocstats` prints; None where it counts nothing."""
    arenas, in_use = _ARENAS.search(text), _IN_USE.search(text)
    if arenas is None or in_use is None:
        return None, None
    used = int(in_use.group(1).replace(",", ""))
    return used, int(arenas.group(2).replace(",", "")) - used
