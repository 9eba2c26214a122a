"""Inside the subject: trace where memory comes from and where things were opened, then write it.

Executed by path with the subject's own interpreter (3.9 or later), before the target is loaded.
Standard library only, and memray where the subject's environment has it.

`start(kind, output, native)` takes the kind "memray" (tracemalloc takes its place where memray
cannot be imported, and the record says so), "tracemalloc" or "none". A file `<output>.plan` beside
the output may ask for more; `stop()` writes the record to `<output>.json`.
"""

import gc
import importlib.util
import json
import os
import sys

__all__ = ["start", "stop"]

FRAMES = 40
SMALL = 512  # bytes; the largest request that pymalloc serves itself
_HERE = os.path.dirname(os.path.abspath(__file__))
_state = {}


def start(kind, output, native=False):
    """Begin to trace; everything allocated or opened from here on is recorded."""
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
    _state["kind"] = _start_allocations(kind, output, native)
    if _state["origins"] is not None:
        _state["origins"].start()


def stop():
    """End tracing and write the record; a second call does nothing."""
    if not _state:
        return
    state = dict(_state)
    _state.clear()
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


def _read_plan(path):
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def _sibling(name):
    """Load a neighbouring file without importing the package that it lies in."""
    spec = importlib.util.spec_from_file_location(
        "_leak_suite_" + name, os.path.join(_HERE, name + ".py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _start_allocations(kind, output, native):
    if kind == "none":
        return kind
    if kind == "memray":
        try:
            import memray
        except Exception as error:  # a broken build is as good as none
            _state["note"] = "memray cannot be imported there ({}): tracemalloc took its place, " \
                "which sees Python's allocations only".format(error)
        else:
            tracker = memray.Tracker(
                output,
                native_traces=native,
                trace_python_allocators=True,
                file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
            )
            tracker.__enter__()
            _state["tracker"] = tracker
            return kind
    import tracemalloc

    tracemalloc.start(FRAMES)
    return "tracemalloc"


def _stop_allocations(state):
    if state["kind"] == "memray":
        state.pop("tracker").__exit__(None, None, None)
        return list(_memray_records(state["output"], state["native"]))
    if state["kind"] == "tracemalloc":
        return _tracemalloc_records(state["plan"].get("allocations", True))
    return []


def _memray_records(path, native):
    """What was allocated and not freed, by stack; `native` frames only where they were traced."""
    import memray

    python = {
        int(memray.AllocatorType.PYMALLOC_MALLOC),
        int(memray.AllocatorType.PYMALLOC_CALLOC),
        int(memray.AllocatorType.PYMALLOC_REALLOC),
    }
    with memray.FileReader(path) as reader:
        for item in reader.get_leaked_allocation_records(merge_threads=True):
            record = {
                "bytes": item.size,
                "count": item.n_allocations,
                "python": item.allocator in python,
                "stack": [[file, line, name] for name, file, line in item.stack_trace(FRAMES)],
            }
            if native:
                frames = item.native_stack_trace(FRAMES)
                record["native"] = [[file, line, name] for name, file, line in frames]
            yield record


def _tracemalloc_records(wanted):
    import tracemalloc

    if not wanted:
        tracemalloc.stop()
        return []
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.stop()
    return [
        {
            "bytes": item.size,
            "count": item.count,
            "python": True,
            "stack": [[frame.filename, frame.lineno, ""] for frame in reversed(item.traceback)],
        }
        for item in snapshot.statistics("traceback")
    ]
