"""What must be traced for which metric, and how long. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from leak_suite.result import Cause, Finding, Outcome

__all__ = ["ALLOCATIONS", "OBJECTS", "ORIGINS", "longest", "needs_sites", "next_lengths"]

ALLOCATIONS: Mapping[str, str] = {
    "heap": "bytes",
    "blocks": "count",
    "rss": "bytes",
    "rss_anon": "bytes",
    "pss": "bytes",
}
"""Metrics of memory, and what of an allocation record they are counted in."""

ORIGINS: Mapping[str, str] = {
    "fds": "fds",
    "threads": "threads",
    "python_threads": "threads",
    "tasks": "tasks",
    "children": "children",
    "temp_files": "temp_files",
    "temp_bytes": "temp_files",
}
"""Metrics of things that are opened, and the watch that sees the line that opens them."""

OBJECTS = ("gc_objects", "garbage", "tracked:")
"""Beginnings of the names of metrics that count Python objects."""

LEAST = 2
"""No window is shorter than this many iterations."""
MOST_BYTES = 64 * 1024**2
"""How much a traced run may leave behind: a leak of a mebibyte is as clear after a few dozens."""
MOST_THINGS: Mapping[str, int] = {
    "fds": 200,
    "threads": 60,
    "tasks": 500,
    "children": 16,
    "temp_files": 60,
}
"""How many of a thing a traced run may leave open: enough to count, too few to hurt."""
MOST_COUNTED: Mapping[str, int] = {"blocks": 200_000, "gc_objects": 20_000, "garbage": 20_000}
"""How many it may leave alive: they are walked over one by one at its end."""


def needs_sites(finding: Finding) -> bool:
    """Whether a line can be named for it: it grows, and not by the allocator's doing alone."""
    return finding.outcome is Outcome.GROWING and finding.cause != Cause.RETENTION


def longest(findings: Iterable[Finding], growth_bytes: float) -> int | None:
    """The most iterations after which what grows is still harmless; None for no such limit."""
    caps = []
    for finding in findings:
        rate = finding.rate or 0.0
        if rate <= 0:
            continue
        watch = ORIGINS.get(finding.metric, "")
        if watch in MOST_THINGS and finding.metric != "temp_bytes":
            caps.append(MOST_THINGS[watch] / rate)
        elif finding.metric in MOST_COUNTED or finding.metric.startswith("tracked:"):
            caps.append(MOST_COUNTED.get(finding.metric, 20_000) / rate)
        elif finding.unit in ("bytes", "B", "byte"):
            caps.append(min(growth_bytes, MOST_BYTES) / rate)
    return max(2 * LEAST, int(min(caps))) if caps else None


def next_lengths(
    done: int, *, shorter_first: bool, pace: float, overhead: float, seconds: float
) -> tuple[int, ...]:
    """How long the runs after a first one of `done` iterations shall be: n and 2n, or 2n alone.

    The first run was n/2 where `shorter_first`, else n. `pace` and `overhead` are its seconds per
    iteration and per start, `seconds` is what is left. Where even the first run took most of the
    time, it has to do for n.
    """
    if not shorter_first or pace * done > seconds:
        return (2 * done,)
    room = max(0.0, seconds - 2 * overhead)
    affordable = int(room / (3 * pace)) if pace > 0 else 2 * done
    n = max(done + 1, min(2 * done, affordable))
    return (n, 2 * n)
