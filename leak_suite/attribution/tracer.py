"""Inside the subject: trace where memory comes from and where things were opened, then write it.

Executed by path with the subject's own interpreter (3.9 or later), before the target is loaded.
Standard library only, and memray where the subject's environment has it.

`start(kind, output, native)` takes the kind "memray" (tracemalloc takes its place where memray
cannot be imported, and the record says so), "tracemalloc" or "none". A file `<output>.plan` beside
the output may ask for more, and to wait: imports and first use are slow to trace (fifty times, for
a web framework under tracemalloc), and what they keep does not grow. `begin_if_wanted()`, which can
be reached by the module `_leak_suite_tracer`, then begins once there is a file `<output>.go`.
`stop()` writes the record to `<output>.json`.
"""

# It runs inside the subject, often between two of its lines: os, and not pathlib.
from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
import types
from typing import Any

__all__ = ["begin", "begin_if_wanted", "start", "stop"]

FRAMES = 40
TRACEMALLOC_FRAMES = 25  # its time goes up with each
MODULE = "_leak_suite_tracer"
_HERE = os.path.dirname(os.path.abspath(__file__))
_state: dict[str, Any] = {}


def start(kind: str, output: str | os.PathLike[str], native: bool = False) -> None:
    """Set up, and begin to trace unless the plan says to wait."""
    if _state:
        raise RuntimeError("this process is being traced already")
    output = os.fspath(output)
    plan = _read_plan(output + ".plan")
    _state.update(output=output, plan=plan, native=native, note="", origins=None)
    own = _sibling("ownership").Ownership(plan.get("own", ()))
    _state["ownership"] = own
    if plan.get("objects") or plan.get("holders"):
        _state["objects"] = _sibling("traced_objects")
    if plan.get("watch"):
        _state["origins"] = _sibling("traced_origins").Origins(plan["watch"], own.is_own)
    _state["kind"] = _prepare_allocations(kind)
    if _state["origins"] is not None:
        _state["origins"].start()
    if plan.get("wait"):
        module = types.ModuleType(MODULE)
        module.begin_if_wanted = begin_if_wanted  # type: ignore[attr-defined]
        sys.modules[MODULE] = module
    else:
        begin()


def begin() -> None:
    """Everything allocated from here on is recorded; later calls do nothing."""
    if _state and not _state.get("begun"):
        _state["begun"] = True
        _start_allocations()


def begin_if_wanted() -> int:
    """Begin if the file that says so is there. Returns 0, since it is called as a counter."""
    if _state and not _state.get("begun") and os.path.exists(_state["output"] + ".go"):
        begin()
    return 0


def stop() -> None:
    """End tracing and write the record; a second call does nothing."""
    if not _state:
        return
    begin()  # else there is nothing to end
    state = dict(_state)
    _state.clear()
    sys.modules.pop(MODULE, None)
    record = {"version": 1, "kind": state["kind"], "note": state["note"], "python": sys.version}
    gc.collect()
    if state["origins"] is not None:
        record["origins"] = state["origins"].stop()
    if state["plan"].get("objects"):
        record["objects"] = state["objects"].groups()
    record["records"] = _stop_allocations(state)
    if state["plan"].get("holders"):
        wanted = record.get("objects", ())
        record["containers"] = state["objects"].held(state["ownership"], wanted)
    for group in record.get("objects", ()):
        group.pop("id", None)
    record["ownership"] = state["ownership"].as_data()
    partial = state["output"] + ".json.partial"
    with open(partial, "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(record, file)
    os.replace(partial, state["output"] + ".json")


def _read_plan(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def _sibling(name: str) -> Any:
    """Load a neighbouring file without importing the package that it lies in."""
    spec = importlib.util.spec_from_file_location(
        "_leak_suite_" + name, os.path.join(_HERE, name + ".py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _prepare_allocations(kind: str) -> str:
    """What will trace allocations; imported now, so that its import is not recorded."""
    if kind == "none":
        return kind
    if kind == "memray":
        try:
            import memray  # noqa: F401
        except Exception as error:  # none there, or a broken one
            _state["note"] = _replaced(error)
        else:
            return kind
    import tracemalloc  # noqa: F401

    return "tracemalloc"


def _start_allocations() -> None:
    if _state["kind"] == "memray":
        try:
            _state["tracker"] = _start_memray(_state["output"], _state["native"])
        except Exception as error:  # one that traces already
            _state["note"] = _replaced(error)
            _state["kind"] = "tracemalloc"
    if _state["kind"] == "tracemalloc":
        import tracemalloc

        _state["traced"] = tracemalloc.is_tracing()
        tracemalloc.start(_state["plan"].get("frames", TRACEMALLOC_FRAMES))


def _replaced(error: Exception) -> str:
    return (
        f"memray cannot be used there ({type(error).__name__}: {error}), and tracemalloc, which "
        "took its place, sees Python's allocations only; install memray there to see native ones"
    )


def _start_memray(output: str, native: bool) -> Any:
    import memray

    tracker = memray.Tracker(
        output,
        native_traces=native,
        trace_python_allocators=True,
        file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
    )
    tracker.__enter__()
    return tracker


def _stop_allocations(state: dict[str, Any]) -> list[dict[str, Any]]:
    if state["kind"] == "memray":
        state.pop("tracker").__exit__(None, None, None)
        return _memray_records(state["output"], state["native"])
    if state["kind"] == "tracemalloc":
        # Stopping takes long after a leak, and is of no use to a process that ends now.
        keep = state["traced"] or not state["plan"].get("goes_on", True)
        return _tracemalloc_records(state["plan"].get("allocations", True), keep)
    return []


def _memray_records(path: str, native: bool) -> list[dict[str, Any]]:
    """What was allocated and not freed, by stack; `native` frames only where they were traced."""
    import memray

    python = {
        int(memray.AllocatorType.PYMALLOC_MALLOC),
        int(memray.AllocatorType.PYMALLOC_CALLOC),
        int(memray.AllocatorType.PYMALLOC_REALLOC),
    }
    # Code that is made anew at each iteration has frames of its own each time: join them by name.
    joined: dict[Any, dict[str, Any]] = {}
    with memray.FileReader(path) as reader:
        for item in reader.get_leaked_allocation_records(merge_threads=True):
            stack = tuple(item.stack_trace(FRAMES))
            frames = tuple(item.native_stack_trace(FRAMES)) if native else ()
            key = (stack, frames, item.allocator in python)
            record = joined.get(key)
            if record is not None:
                record["bytes"] += item.size
                record["count"] += item.n_allocations
                continue
            joined[key] = record = {
                "bytes": item.size,
                "count": item.n_allocations,
                "python": item.allocator in python,
                "stack": [[file, line, name] for name, file, line in stack],
            }
            if native:
                record["native"] = [[file, line, name] for name, file, line in frames]
    return list(joined.values())


def _tracemalloc_records(wanted: bool, keep_tracing: bool) -> list[dict[str, Any]]:
    import tracemalloc

    found = tracemalloc.take_snapshot().statistics("traceback") if wanted else ()
    if not keep_tracing:
        tracemalloc.stop()
    return [
        {
            "bytes": item.size,
            "count": item.count,
            "python": True,
            "stack": [[frame.filename, frame.lineno, ""] for frame in reversed(item.traceback)],
        }
        for item in found
    ]
