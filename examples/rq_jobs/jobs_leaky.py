"""The same jobs with a leak: the index keeps every page."""

from __future__ import annotations

index: dict[int, list[str]] = {}


def add(page: int, text: str) -> int:
    """Put a page into the index, and tell how many words it has."""
    index[page] = text.split()
    return len(index[page])
