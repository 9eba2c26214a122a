"""What must be traced for which metric, how long, and whether that was long enough. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leak_suite.result import Cause, Finding, Outcome

__all__ = [
    "ALLOCATIONS",
    "OBJECTS",
    "ORIGINS",
    "Length",
    "deciding",
    "first_length",
    "lengths",
    "longest",
    "needs_sites",
    "too_much",
    "well_explained",
]

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
"""No window is shorter than this many iterations, where time allows for two."""
CLEAR_BYTES, CLEAR_COUNT, CLEAR_THINGS = 64 * 1024, 500, 10
"""Growth that stands out in a first, short run: of bytes, of blocks or objects, of things."""
SHORT_ITERATIONS = 200
SHORT_SECONDS = 0.05
"""A first run is not shorter than either of these allows: what is cheap may be clearer."""
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
MOST_COUNTED: Mapping[str, int] = {"blocks": 200_000, "gc_objects": 10_000, "garbage": 10_000}
"""How many it may leave alive: they are walked over one by one at its end."""
LITTLE, MUCH = 0.4, 1.3
"""Sites that carry less, or more, than these shares of the rate do not explain it."""


@dataclass(frozen=True)
class Length:
    """`iterations` of a traced run: `least` of them, the others while `seconds` allow."""

    iterations: int
    least: int
    seconds: float


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
    return max(2 * LEAST, int(min(caps))) if caps else None


def first_length(finding: Finding, pace: float, most: int) -> int:
    """The n of the first traced runs: short, but long enough for this growth to stand out.

    `pace` is the seconds that an iteration took untraced, 0 if that is not known.
    """
    wanted = min(SHORT_ITERATIONS, SHORT_SECONDS / pace) if pace > 0 else SHORT_ITERATIONS
    if finding.rate and finding.rate > 0:
        wanted = max(wanted, _clear(finding) / finding.rate)
    return max(1, min(most, int(wanted)))


def lengths(n: int, pace: float, seconds: float, *, shorter: bool) -> tuple[Length, ...]:
    """The runs of n and 2n iterations, and one of n/2 before them where it is `shorter` too.

    The longest may work for `seconds`. Its time is divided among the others by their lengths, so
    that runs which are all cut short by it still differ.
    """
    least = LEAST if pace <= seconds / 8 else 1
    n = max(n, least)
    if shorter and n // 2 >= least and pace <= seconds / 8:
        return tuple(
            Length(n * part // 2, least * part, seconds * part / 4)
            for part in (1, 2, 4)
            if n * part // 2 >= least
        )
    return (Length(n, least, seconds / 2), Length(2 * n, 2 * least, seconds))


def well_explained(finding: Finding, found: float) -> bool:
    """Whether lines that grow by `found` in all are what makes the finding grow."""
    rate = finding.rate or 0.0
    return found > 0 and (rate <= 0 or LITTLE * rate <= found <= MUCH * rate)


def too_much(finding: Finding, found: float) -> bool:
    """Whether lines grew by more than the verdict saw: something was still filling."""
    return found > MUCH * (finding.rate or found)


def _is_counted(metric: str) -> bool:
    return metric in MOST_COUNTED or metric.startswith("tracked:")


def _clear(finding: Finding) -> float:
    if _is_counted(finding.metric):
        return CLEAR_COUNT
    return CLEAR_BYTES if finding.unit == "bytes" else CLEAR_THINGS


def deciding(findings: Sequence[Finding]) -> Finding:
    """The finding that tells whether runs were long enough: live memory, before resident."""
    return next((f for f in findings if f.metric in ("blocks", "heap")), findings[0])
