"""Inside the subject: hold memray's Tracker between two files that the host makes.

A copy of this file is run by path in the subject's interpreter (3.9 or later), beside `plan.json`.
The agent calls `turn()` after each round, as if it were a counter.
"""

# ruff: noqa: UP006, UP035, UP045
from __future__ import annotations

import atexit
import json
import os
import runpy
import traceback
from pathlib import Path
from typing import Any, Dict, Optional

__all__ = ["turn"]

_FOLDER = Path(__file__).resolve().parent
_PLAN: Dict[str, Any] = json.loads((_FOLDER / "plan.json").read_text(encoding="utf-8"))
_tracker: Optional[Any] = None
_ended = False


def turn() -> int:
    """Begin or end if the host wants it; 0, as a counter that stands still."""
    try:
        if (_FOLDER / "begin").exists():
            _begin()
        if (_FOLDER / "end").exists():
            _end()
    except BaseException:
        (_FOLDER / "error").write_text(traceback.format_exc(limit=-1), encoding="utf-8")
        raise
    return 0


def _begin() -> None:
    global _tracker
    if _tracker is not None or _ended:
        return
    import memray

    every = memray.FileFormat.ALL_ALLOCATIONS
    joined = memray.FileFormat.AGGREGATED_ALLOCATIONS
    _tracker = memray.Tracker(
        _PLAN["output"],
        native_traces=_PLAN["native"],
        trace_python_allocators=_PLAN["python_allocators"],
        file_format=every if _PLAN["every"] else joined,
    )
    _tracker.__enter__()
    atexit.register(_end)


def _end() -> None:
    global _tracker, _ended
    if _tracker is None:
        return
    tracker, _tracker, _ended = _tracker, None, True
    tracker.__exit__(None, None, None)
    own = runpy.run_path(_PLAN["ownership"])["Ownership"](_PLAN["names"])
    facts = {"libraries": list(own.libraries), "machinery": list(own.instrumentation)}
    facts["machinery"].append(str(_FOLDER) + os.sep)
    partial = _FOLDER / "facts.partial"
    partial.write_text(json.dumps(facts), encoding="utf-8")
    partial.replace(_FOLDER / "facts.json")


if (_FOLDER / "begin").exists():
    turn()
