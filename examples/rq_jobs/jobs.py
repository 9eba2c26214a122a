"""Jobs that index pages; the newest 30 pages are kept."""

from __future__ import annotations

index: dict[int, list[str]] = {}
MAX_PAGES = 30


def add(page: int, text: str) -> int:
    """Put a page into the index, and tell how many words it has."""
    index[page] = text.split()
    if len(index) > MAX_PAGES:
        del index[next(iter(index))]
    return len(index[page])
