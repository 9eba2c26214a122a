"""Repeats a workload and reads what memory is made of, without settling anything in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from leak_suite.errors import SubjectError
from leak_suite.explain.groups import SubjectGroup
from leak_suite.explain.parts import PartsReader
from leak_suite.explain.result import GroupInfo, MemoryReading
from leak_suite.subject import Extras, Spec, Subject

__all__ = ["Observation", "observe"]

_READ_AT = (0.01, 0.03, 0.08, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
"""When it is read, in shares of the time: early on more often, before a fast leak is large."""
_UNBOUNDED = 1 << 40
_LATEST = 4.0
"""Iterations that take long may stretch the time by this factor before no more are begun."""


@dataclass(frozen=True)
class Observation:
    """The readings, the group that was read, and what could not be; `error` ended it early.

    `foreign_allocator`: a process allocates by another library than the C library.
    """

    readings: tuple[MemoryReading, ...]
    group: GroupInfo
    notes: tuple[str, ...] = ()
    error: str = ""
    foreign_allocator: bool = False


def observe(
    spec: Spec,
    seconds: float,
    *,
    max_growth: float,
    extras: Extras,
    may_make_group: bool = True,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Observation:
    """Start the subject of `spec` and read it before, during and after `seconds` of its workload.

    It ends early once it has grown by `max_growth` bytes, or its workload fails.

    Raises:
        SubjectError: it cannot be started, or ended while it was looked at.
    """
    with spec.open(extras) as subject:
        group = SubjectGroup(subject.composition(), may_make=may_make_group)
        try:
            return _observed(subject, group, seconds, max_growth, on_progress)
        finally:
            # Its processes go first: closing the group would kill them.
            subject.__exit__(None, None, None)
            group.close()


def _observed(
    subject: Subject,
    group: SubjectGroup,
    seconds: float,
    max_growth: float,
    on_progress: Callable[[str], None],
) -> Observation:
    reader = PartsReader()
    readings = [_reading(subject, reader, group, 0, 0.0)]
    done, spent, error = 0, 0.0, ""
    for share in _READ_AT:
        left = seconds * share - spent
        if left <= 0 and spent > _LATEST * seconds:
            break
        work = subject.work(_UNBOUNDED if left > 0 else 1, seconds=max(left, 0.001))
        done, spent = done + work.done, spent + work.seconds
        readings.append(_reading(subject, reader, group, done, spent))
        on_progress(f"looking at its memory: {done:,} iterations")
        if work.error is not None:
            error = f"the workload failed after {done} iterations: {work.error}"
            break
        if readings[-1].total - readings[0].total > max_growth:
            break
    notes: Iterable[str] = sorted(reader.notes)
    return Observation(tuple(readings), group.info, tuple(notes), error, reader.foreign_allocator)


def _reading(
    subject: Subject, reader: PartsReader, group: SubjectGroup, done: int, spent: float
) -> MemoryReading:
    processes = subject.composition()
    if not processes:
        raise SubjectError("none of the subject's processes can be looked at")
    parts, copies, arenas, peak = reader.read(processes)
    of_group = group.parts()
    # Shared memory that is mapped is charged to the group too: the larger figure holds both.
    shared = max(parts.get("shared", 0.0), of_group.pop("shared", 0.0))
    parts = {**parts, "shared": shared, **of_group}
    return MemoryReading(done, spent, parts, copies, arenas, peak)
