"""The one table of probes, from which the command line and the docs are made too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

__all__ = ["PROBES", "Probe", "bytes_per_unit", "probe_for"]


@dataclass(frozen=True)
class Probe:
    """One metric: what it counts, from where it can be read, and what it cannot see.

    `exact` metrics are judged exactly after settling, the others as a trend with `floor` (growth in
    `unit` per iteration that does not matter). `covered_by` names metrics that see what this one
    would have seen. Where a `required` one cannot be judged and nothing covers it, neither can the
    run; one that is not leaves no hole where it is blind, or covered.
    """

    name: str
    unit: str
    exact: bool
    description: str
    blind_to: str
    inside: bool = True
    outside: bool = False
    floor: float = 0.0
    covered_by: tuple[str, ...] = ()
    required: bool = True


_ALL = (
    Probe(
        "heap",
        "bytes",
        exact=False,
        description="bytes the C library has handed out and not got back, mmapped blocks included",
        blind_to="Python objects up to 512 bytes (see blocks); everything where another allocator "
        "is preloaded, or without glibc",
        floor=2.0,
        covered_by=("rss_anon", "rss", "pss"),
    ),
    Probe(
        "blocks",
        "blocks",
        exact=False,
        description="memory blocks that Python's own allocator has handed out",
        blind_to="memory of C extensions and objects above 512 bytes (see heap); everything "
        "under PYTHONMALLOC=malloc",
        floor=0.02,
        covered_by=("gc_objects", "heap", "rss_anon", "rss", "pss"),
    ),
    Probe(
        "gc_objects",
        "objects",
        exact=False,
        description="container objects that the garbage collector knows",
        blind_to="strings, bytes, numbers and native memory",
        floor=0.02,
        covered_by=("blocks", "heap", "rss_anon", "rss", "pss"),
        required=False,
    ),
    Probe(
        "garbage",
        "objects",
        exact=True,
        description="objects that the collector found and could not free",
        blind_to="reference cycles that can be freed, on purpose",
        required=False,
    ),
    Probe(
        "rss",
        "bytes",
        exact=False,
        description="resident memory",
        blind_to="leaks smaller than the allocator's slack, for a long time",
        outside=True,
        floor=64.0,
        covered_by=("rss_anon", "pss"),
    ),
    Probe(
        "rss_anon",
        "bytes",
        exact=False,
        description="resident memory that no file backs",
        blind_to="shared memory and mapped files",
        outside=True,
        floor=64.0,
        covered_by=("rss",),
        required=False,
    ),
    Probe(
        "pss",
        "bytes",
        exact=False,
        description="resident memory of the process tree, shared pages divided by their users",
        blind_to="leaks smaller than the allocator's slack, for a long time",
        inside=False,
        outside=True,
        floor=64.0,
        covered_by=("rss", "rss_anon"),
        required=False,
    ),
    Probe(
        "private_dirty",
        "bytes",
        exact=False,
        description="memory that a process has written to and shares with no other",
        blind_to="leaks smaller than the allocator's slack, for a long time",
        inside=False,
        outside=True,
        floor=64.0,
        covered_by=("heap", "blocks"),
        required=False,
    ),
    Probe(
        "fds",
        "descriptors",
        exact=True,
        description="open file descriptors: files, sockets, pipes",
        blind_to="mapped files whose descriptor was closed",
        outside=True,
    ),
    Probe(
        "threads",
        "threads",
        exact=True,
        description="threads that the system counts, native ones included",
        blind_to="greenlets and tasks",
        outside=True,
        covered_by=("python_threads",),
    ),
    Probe(
        "python_threads",
        "threads",
        exact=True,
        description="threads that Python started",
        blind_to="threads that native code started (see threads)",
        covered_by=("threads",),
        required=False,
    ),
    Probe(
        "tasks",
        "tasks",
        exact=True,
        description="asyncio tasks that are not finished",
        blind_to="since Python 3.14, tasks of loops that the subject runs itself; greenlets",
        covered_by=("gc_objects",),
        required=False,
    ),
    Probe(
        "children",
        "processes",
        exact=True,
        description="child processes, ended ones that nobody waited for included",
        blind_to="processes that detached themselves",
        outside=True,
        required=False,
    ),
    Probe(
        "temp_files",
        "files",
        exact=True,
        description="files and folders under the temporary folder that the subject was given",
        blind_to="files written elsewhere",
        required=False,
    ),
    Probe(
        "temp_bytes",
        "bytes",
        exact=False,
        description="bytes in those files",
        blind_to="files written elsewhere, and deleted ones that are still open (see fds)",
        floor=1.0,
        covered_by=("temp_files",),
        required=False,
    ),
    Probe(
        "peak",
        "bytes",
        exact=False,
        description="highest resident memory within a round",
        blind_to="the peak of one iteration among many in a round",
        outside=True,
        floor=64.0,
        covered_by=("rss",),
        required=False,
    ),
)

PROBES: Mapping[str, Probe] = {probe.name: probe for probe in _ALL}

_FAMILIES = {
    "tracked": Probe(
        "tracked",
        "objects",
        exact=True,
        description="objects of a class named in the options, alive and not closed",
        blind_to="objects made without calling __init__",
    ),
    "counter": Probe(
        "counter",
        "count",
        exact=True,
        description="a number that the application declares",
        blind_to="whatever the application does not count",
        outside=True,
    ),
}


_MEMORY_COUNTER = Probe(
    "counter",
    "bytes",
    exact=False,
    description="memory that the application tells of itself",
    blind_to="whatever the application does not count",
    outside=True,
    floor=64.0,
)
_UNITS = {"bytes": 1.0, "kb": 1024.0, "kib": 1024.0, "mb": 1024.0**2, "mib": 1024.0**2}
_UNITS |= {"gb": 1024.0**3, "gib": 1024.0**3}
_MEMORY_WORDS = {"rss", "pss", "uss", "memory", "heap"}


def probe_for(metric: str) -> Probe:
    """The probe of a metric, also of `tracked:CLASS` and `counter:NAME`; KeyError if unknown."""
    family, colon, name = metric.partition(":")
    if not colon:
        return PROBES[metric]
    if family == "counter" and bytes_per_unit(name) is not None:
        return replace(_MEMORY_COUNTER, name=metric)
    return replace(_FAMILIES[family], name=metric)


def bytes_per_unit(name: str) -> float | None:
    """What to multiply a counter of this name by to get bytes; None if it counts something else.

    "memory.rss_mb" is in units of 1024 squared, "heap_bytes" and "rss" in bytes.
    """
    words = re.split(r"[^a-z]+", name.lower())
    for word in reversed(words):
        if word in _UNITS:
            return _UNITS[word]
    return 1.0 if _MEMORY_WORDS & set(words) and "percent" not in words else None
