"""Which own line the C library's heap grew under: for memory that no allocation record shows.

A watch for `LineTrace`. It reads the live bytes of the heap after each own line and charges the
line with the difference, so that what is freed by another line counts against that one.
"""

from __future__ import annotations

import time

from ..native import CLibrary

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is a module that the subject may not have loaded
    from collections.abc import Callable

    from .lines import Stack

__all__ = ["HeapWatch"]

_MOST_SECONDS = 0.002
"""mallinfo walks the free lists: where that takes longer, line by line is too dear."""


class HeapWatch:
    """Live bytes of the heap, and what each own line changed of them. `note` says why it cannot."""

    def __init__(self) -> None:
        self._read = CLibrary().live_heap
        self._live = self._read()
        self._charges: list[dict[int, list[object]]] = [{}, {}]
        self._window = 0
        self.note = "" if self._live is not None else "the C library does not tell its live bytes"
        started = time.thread_time()
        self._read()
        seconds = time.thread_time() - started
        if seconds > _MOST_SECONDS:
            self.note = f"reading the heap takes {seconds * 1000:.0f} ms here, too long for lines"

    def changed(self) -> bool:
        """See `Watch.changed`."""
        return not self.note and self._read() != self._live

    def update(self, suspects: Callable[[], list[Stack]]) -> None:
        """See `Watch.update`."""
        live = self._read()
        if live is None or self._live is None:
            return
        grown, self._live = live - self._live, live
        stacks = suspects()
        if stacks:
            charges = self._charges[self._window]
            known = charges.setdefault(id(stacks[0]), [stacks[0], 0])
            known[1] += grown  # type: ignore[operator]
        self._live = self._read()

    def end_window(self) -> None:
        """The first window is over."""
        self._window = 1

    def charges(self) -> list[tuple[Stack, int, int]]:
        """(stack, bytes of the first window, of the second) of the lines that the heap grew by."""
        totals: dict[int, list[object]] = {}
        for window, charges in enumerate(self._charges):
            for identity, (stack, size) in charges.items():
                row = totals.setdefault(identity, [stack, 0, 0])
                row[1 + window] = size
        found: list[tuple[Stack, int, int]] = [tuple(row) for row in totals.values()]  # type: ignore[misc]
        found.sort(key=lambda row: -row[1])
        return [row for row in found if row[1] > 0 or row[2] > 0][:50]
