"""The files that a service on this machine keeps in its spool folder."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["spool_files"]


def spool_files(spool: str | Path) -> list[str]:
    """The names of all files that hold something; those deleted while we look are left out."""
    found = []
    for folder, _, names in os.walk(spool):
        for name in names:
            path = Path(folder, name)
            with suppress(FileNotFoundError):
                if path.stat().st_size > 0:
                    found.append(str(path.relative_to(spool)))
    return sorted(found)
