"""The service under load, with memory pressure on demand: `load.pressure_app:create`.

While the file LOAD_MEMORY_PRESSURE exists, this process holds as many MiB as the file says. The
application, its guard and its readings are untouched.
"""

from __future__ import annotations

import mmap
import os
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["create"]

_LOOK_SECONDS = 0.1
_PAGE = 4096


def create() -> Any:
    """The application that LOAD_APP names; what it names may also make one."""
    module, _, name = os.environ["LOAD_APP"].partition(":")
    found = getattr(import_module(module), name)
    if os.environ.get("LOAD_APP_FACTORY"):
        found = found()
    path = Path(os.environ["LOAD_MEMORY_PRESSURE"])
    threading.Thread(target=_hold, args=(path,), name="memory-pressure", daemon=True).start()
    return found


def _hold(wanted: Path) -> None:
    """Hold what the file says, for as long as it is there."""
    held: mmap.mmap | None = None
    pause = threading.Event()
    while True:
        mebibytes = _read(wanted)
        if mebibytes and held is None:
            held = mmap.mmap(-1, mebibytes * 1024 * 1024)
            for offset in range(0, len(held), _PAGE):
                held[offset] = 1
        elif not mebibytes and held is not None:
            held.close()
            held = None
        pause.wait(_LOOK_SECONDS)


def _read(path: Path) -> int:
    try:
        return int(path.read_text(encoding="utf-8") or 0)
    except (FileNotFoundError, ValueError):
        return 0
