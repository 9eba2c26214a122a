"""Every metric and all that is known of it, in one table that all rooms read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from leak_suite.units import GIB, KIB, MIB

__all__ = ["METRICS", "Metric", "QuickSample", "bytes_per_unit", "metric_named", "priority"]


class QuickSample(NamedTuple):
    """What the growth guard reads inside a round: the metrics that have a `guard_limit`."""

    rss: int
    fds: int
    threads: int
    children: int
    temp_files: int


@dataclass(frozen=True)
class Metric:
    """One metric: what it counts, from where it is read, how it is judged and shown.

    Reading: `inside` by an agent, `outside` over the process tree; `outside_check` is the amount
    (in `unit`) that a child process takes to prove the outside reading. A metric that is read
    `per_process` has a series of each process group, besides that of the main process or of all.
    `blind_to` says what the metric cannot see.

    Judging: `exact` metrics are counted after settling and judged as they stand, the others as a
    trend. Growth below `min_rate` (`unit` per iteration) does not matter. Growth of `implausible`
    in all (`unit`) is more than a pool or cache is expected to hold; None takes the default of the
    kind. `resident` memory is what the kernel counts, `live` memory what has been allocated and not
    freed. `covering_metrics` see, more coarsely, what this one would have seen. Where a `required`
    metric cannot be judged and nothing covers it, neither can the run; one that is not required
    leaves no hole where it is blind, or covered. Growth by `guard_limit` (`unit`) ends a round.

    Showing: `lists_things` says that what is behind the number can be listed one by one. The order
    in which metrics are named is `priority`.
    """

    name: str
    unit: str
    exact: bool
    description: str
    blind_to: str
    inside: bool = True
    outside: bool = False
    outside_check: float | None = None
    per_process: bool = False
    min_rate: float = 0.0
    implausible: float | None = None
    resident: bool = False
    live: bool = False
    covering_metrics: tuple[str, ...] = ()
    required: bool = True
    guard_limit: float | None = None
    lists_things: bool = False


_ALL = (
    Metric(
        "heap",
        "bytes",
        exact=False,
        description="bytes the C library has handed out and not got back, mmapped blocks included",
        blind_to="Python objects up to 512 bytes (see blocks); everything where another allocator "
        "is preloaded, or without glibc",
        min_rate=2.0,
        covering_metrics=("rss_anon", "rss", "pss"),
        live=True,
        per_process=True,
    ),
    Metric(
        "blocks",
        "blocks",
        exact=False,
        description="memory blocks that Python's own allocator has handed out",
        blind_to="memory of C extensions and objects above 512 bytes (see heap); everything "
        "under PYTHONMALLOC=malloc",
        min_rate=0.02,
        covering_metrics=("gc_objects", "heap", "rss_anon", "rss", "pss"),
        live=True,
        implausible=1e6,
        per_process=True,
    ),
    Metric(
        "gc_objects",
        "objects",
        exact=False,
        description="container objects that the garbage collector knows",
        blind_to="strings, bytes, numbers and native memory",
        min_rate=0.02,
        covering_metrics=("blocks", "heap", "rss_anon", "rss", "pss"),
        required=False,
        live=True,
        implausible=5e5,
        per_process=True,
    ),
    Metric(
        "garbage",
        "objects",
        exact=True,
        description="objects that the collector found and could not free",
        blind_to="reference cycles that can be freed, on purpose",
        required=False,
        implausible=1_000,
        per_process=True,
    ),
    Metric(
        "rss",
        "bytes",
        exact=False,
        description="resident memory",
        blind_to="leaks smaller than the allocator's slack, for a long time",
        outside=True,
        min_rate=64.0,
        covering_metrics=("rss_anon", "pss"),
        resident=True,
        outside_check=8 * MIB,
        guard_limit=4 * MIB,
    ),
    Metric(
        "rss_anon",
        "bytes",
        exact=False,
        description="resident memory that no file backs",
        blind_to="shared memory and mapped files",
        outside=True,
        min_rate=64.0,
        covering_metrics=("rss",),
        required=False,
        resident=True,
        outside_check=8 * MIB,
    ),
    Metric(
        "pss",
        "bytes",
        exact=False,
        description="resident memory of the process tree, shared pages divided by their users",
        blind_to="leaks smaller than the allocator's slack, for a long time",
        inside=False,
        outside=True,
        min_rate=64.0,
        covering_metrics=("rss", "rss_anon"),
        required=False,
        resident=True,
        outside_check=8 * MIB,
    ),
    Metric(
        "private_dirty",
        "bytes",
        exact=False,
        description="memory that a process has written to and shares with no other",
        blind_to="leaks smaller than the allocator's slack, for a long time",
        inside=False,
        outside=True,
        min_rate=64.0,
        covering_metrics=("heap", "blocks"),
        required=False,
        resident=True,
        per_process=True,
    ),
    Metric(
        "fds",
        "descriptors",
        exact=True,
        description="open file descriptors: files, sockets, pipes",
        blind_to="mapped files whose descriptor was closed",
        outside=True,
        outside_check=5,
        implausible=400,
        guard_limit=16,
        lists_things=True,
        per_process=True,
    ),
    Metric(
        "threads",
        "threads",
        exact=True,
        description="threads that the system counts, native ones included",
        blind_to="greenlets and tasks",
        outside=True,
        covering_metrics=("python_threads",),
        outside_check=2,
        implausible=120,
        guard_limit=8,
        lists_things=True,
        per_process=True,
    ),
    Metric(
        "python_threads",
        "threads",
        exact=True,
        description="threads that Python started",
        blind_to="threads that native code started (see threads)",
        covering_metrics=("threads",),
        required=False,
        implausible=120,
        lists_things=True,
        per_process=True,
    ),
    Metric(
        "tasks",
        "tasks",
        exact=True,
        description="asyncio tasks that are not finished",
        blind_to="since Python 3.14, tasks of loops that the subject runs itself; greenlets",
        covering_metrics=("gc_objects",),
        required=False,
        implausible=2_000,
        lists_things=True,
        per_process=True,
    ),
    Metric(
        "children",
        "processes",
        exact=True,
        description="child processes, ended ones that nobody waited for included",
        blind_to="processes that detached themselves",
        outside=True,
        required=False,
        implausible=60,
        guard_limit=8,
        lists_things=True,
    ),
    Metric(
        "temp_files",
        "files",
        exact=True,
        description="files and folders under the temporary folder that the subject was given",
        blind_to="files written elsewhere",
        required=False,
        guard_limit=128,
        lists_things=True,
    ),
    Metric(
        "temp_bytes",
        "bytes",
        exact=False,
        description="bytes in those files",
        blind_to="files written elsewhere, and deleted ones that are still open (see fds)",
        min_rate=1.0,
        covering_metrics=("temp_files",),
        required=False,
    ),
    Metric(
        "peak",
        "bytes",
        exact=False,
        description="highest resident memory within a round",
        blind_to="the peak of one iteration among many in a round",
        outside=True,
        min_rate=64.0,
        covering_metrics=("rss",),
        required=False,
    ),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
"""The fixed metrics by name; `tracked:CLASS` and `counter:NAME` come from the options."""

_FAMILIES = {
    "tracked": Metric(
        "tracked",
        "objects",
        exact=True,
        description="objects of a class named in the options, alive and not closed",
        blind_to="objects made without calling __init__",
        lists_things=True,
    ),
    "counter": Metric(
        "counter",
        "count",
        exact=True,
        description="a number that the application declares",
        blind_to="whatever the application does not count",
        outside=True,
    ),
}


_MEMORY_COUNTER = Metric(
    "counter",
    "bytes",
    exact=False,
    description="memory that the application reports of itself",
    blind_to="whatever the application does not count",
    outside=True,
    min_rate=64.0,
)
_UNITS = {"bytes": 1, "kb": KIB, "kib": KIB, "mb": MIB, "mib": MIB, "gb": GIB, "gib": GIB}
_MEMORY_WORDS = {"rss", "pss", "uss", "memory", "heap"}
# What says most about a leak first: things that can be counted, then memory by how near it is.
_PRIORITY = (
    *("tracked", "counter", "fds", "threads", "python_threads", "tasks", "children"),
    *("temp_files", "temp_bytes", "garbage", "heap", "blocks", "gc_objects"),
    *("rss", "rss_anon", "pss", "private_dirty", "peak"),
)


def metric_named(name: str) -> Metric:
    """The metric of that name, also of `tracked:CLASS` and `counter:NAME`.

    Raises:
        KeyError: there is none.
    """
    family, colon, own_name = name.partition(":")
    if not colon:
        return METRICS[name]
    if family == "counter" and bytes_per_unit(own_name) is not None:
        return replace(_MEMORY_COUNTER, name=name)
    return replace(_FAMILIES[family], name=name)


def priority(name: str) -> int:
    """The place of a metric among those that a report names: 0 for what says most of a leak."""
    family = name.partition(":")[0]
    return _PRIORITY.index(family) if family in _PRIORITY else len(_PRIORITY)


def bytes_per_unit(name: str) -> float | None:
    """What to multiply a counter of this name by to get bytes; None if it counts something else.

    "memory.rss_mb" is in units of 1024 squared, "heap_bytes" and "rss" in bytes.
    """
    words = re.split(r"[^a-z]+", name.lower())
    for word in reversed(words):
        if word in _UNITS:
            return float(_UNITS[word])
    return 1.0 if _MEMORY_WORDS & set(words) and "percent" not in words else None
