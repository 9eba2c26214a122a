"""Files that are written whole or not at all, and names that every file system takes."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["file_name", "write_whole"]

_LONGEST = 200  # most file systems take 255 bytes for a name; the rest is for an ending


def write_whole(path: Path, text: str) -> None:
    """Write `text` so that a reader finds the old file or the new one, never a part of it.

    Folders on the way are made.

    Raises:
        OSError: it cannot be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def file_name(text: str) -> str:
    """`text` as a file's name: lower-case letters, digits and `_`, of at most 200 characters."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower()[:_LONGEST]
