"""What must be traced for which metric, how long, and whether that was long enough. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from leak_suite.result import Cause, Finding, Outcome

__all__ = [
    "ALLOCATIONS",
    "LITTLE",
    "MUCH",
    "OBJECTS",
    "ORIGINS",
    "WINDOWS",
    "deciding",
    "longest",
    "needs_sites",
    "too_much",
    "traced_in",
    "visible_to",
    "well_explained",
    "window",
]

ALLOCATIONS: Mapping[str, Literal["bytes", "count"]] = {
    "heap": "bytes",
    "blocks": "count",
    "rss": "bytes",
    "rss_anon": "bytes",
    "pss": "bytes",
    "private_dirty": "bytes",
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

OUTSIDE = frozenset(
    ("rss", "rss_anon", "pss", "private_dirty", "fds", "threads", "children", "temp_files")
)
"""Metrics that are read over all processes of a subject."""

OBJECTS = ("gc_objects", "garbage", "tracked:")
"""Beginnings of the names of metrics that count Python objects."""

CLEAR_BYTES, CLEAR_COUNT, CLEAR_THINGS = 64 * 1024, 200, 4
"""Growth that stands out in a first window: of bytes, of blocks or objects, of things."""
SHORT_ITERATIONS = 200
SHORT_SECONDS = 0.05
"""A first window is not shorter than either of these allows: what is cheap may be clearer."""
MOST_BYTES = 64 * 1024**2
"""How much tracing may leave behind: a leak of a mebibyte is as clear after a few dozens."""
MOST_THINGS: Mapping[str, int] = {
    "fds": 200,
    "threads": 60,
    "tasks": 500,
    "children": 16,
    "temp_files": 60,
}
"""How many of a thing tracing may leave open: enough to count, too few to hurt."""
MOST_COUNTED: Mapping[str, int] = {"blocks": 200_000, "gc_objects": 10_000, "garbage": 10_000}
"""How many it may leave alive."""
LITTLE, MUCH = 0.4, 1.3
"""Sites that carry less, or more, than these shares of the rate do not explain it."""
WINDOWS = 3
"""The second window has twice the iterations of the first: three times n in all."""


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
        elif _is_counted(finding.metric):
            caps.append(MOST_COUNTED.get(finding.metric, 10_000) / rate)
        elif finding.unit == "bytes":
            caps.append(min(growth_bytes, MOST_BYTES) / rate)
    return max(WINDOWS, int(min(caps))) if caps else None


def window(findings: Sequence[Finding], pace: float, seconds: float, most: int | None) -> int:
    """The iterations of a first window: short, but long enough for growth to stand out.

    Metrics of memory and objects see the same growth: the one that sees it best decides. `pace` is
    the seconds that an iteration took untraced, 0 if that is not known; both windows together
    should take `seconds` at most, and have `most` iterations.
    """
    wanted = min(SHORT_ITERATIONS, SHORT_SECONDS / pace) if pace > 0 else SHORT_ITERATIONS
    clear = {f.metric: _clear(f) / f.rate for f in findings if f.rate and f.rate > 0}
    memory = [count for metric, count in clear.items() if metric not in ORIGINS]
    things = [count for metric, count in clear.items() if metric in ORIGINS]
    wanted = max(wanted, *things, min(memory, default=0.0))
    if pace > 0:
        wanted = min(wanted, seconds / pace / WINDOWS)
    if most is not None:
        wanted = min(wanted, most // WINDOWS)
    return max(1, int(wanted))


def traced_in(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings by the process that they are to be traced in; "" is the main one.

    What the whole subject grew by, seen from outside, came from a process that was seen to grow
    inside, if there is one.
    """
    findings = list(findings)
    inside = [f for f in findings if f.process and f.metric not in OUTSIDE]
    other = max(inside, key=lambda f: f.rate or 0.0).process if inside else ""
    main = any(not f.process and f.metric not in OUTSIDE for f in findings)
    places: dict[str, list[Finding]] = {}
    for finding in findings:
        place = finding.process or ("" if main else other)
        places.setdefault(place, []).append(finding)
    return places


def visible_to(metric: str, kind: str) -> bool:
    """Whether `metric` sees an allocation of that kind: small, large, native or mapped.

    Blocks are Python's own; the heap, which is malloc's, never sees what pymalloc serves from its
    arenas, nor what is mapped by others (a thread's stack).
    """
    if metric == "blocks":
        return kind in ("small", "large")
    return metric != "heap" or kind in ("large", "native")


def well_explained(finding: Finding, found: float) -> bool:
    """Whether lines that grow by `found` in all are what makes the finding grow."""
    rate = finding.rate or 0.0
    return found > 0 and (rate <= 0 or LITTLE * rate <= found <= MUCH * rate)


def too_much(finding: Finding, found: float) -> bool:
    """Whether lines grew by more than the verdict saw: something was still turning over."""
    return found > MUCH * (finding.rate or found)


def _is_counted(metric: str) -> bool:
    return metric in MOST_COUNTED or metric.startswith("tracked:")


def _clear(finding: Finding) -> float:
    if _is_counted(finding.metric):
        return CLEAR_COUNT
    return CLEAR_BYTES if finding.unit == "bytes" else CLEAR_THINGS


def deciding(findings: Sequence[Finding]) -> Finding:
    """The finding that says whether windows were long enough: live memory, before resident."""
    return next((f for f in findings if f.metric in ("blocks", "heap")), findings[0])
