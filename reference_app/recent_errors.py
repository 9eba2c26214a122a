"""The last errors, for the dashboard; of fixed size."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["ErrorEntry", "RecentErrors"]

_MAX_ENTRIES, _MAX_LETTERS = 20, 300


@dataclass(frozen=True)
class ErrorEntry:
    """One thing that went wrong: when (seconds since the epoch), its kind, and what was said."""

    at: float
    kind: str
    text: str


class RecentErrors:
    """The last `max_entries` errors, newest first."""

    def __init__(self, max_entries: int = _MAX_ENTRIES) -> None:
        self._entries: deque[ErrorEntry] = deque(maxlen=max_entries)

    def add(self, at: float, kind: str, text: str) -> None:
        """Keep an error; its text is cut to 300 letters."""
        self._entries.appendleft(ErrorEntry(at, kind, text[:_MAX_LETTERS]))

    def entries(self) -> list[ErrorEntry]:
        """What is kept, newest first."""
        return list(self._entries)
