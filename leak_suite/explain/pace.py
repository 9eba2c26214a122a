"""Whether growth goes with work or with time: a program works, idles and works more slowly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from leak_suite.explain.result import GrowthDriver, Phase
from leak_suite.metrics import metric_named, priority
from leak_suite.result import Finding, Outcome
from leak_suite.subject import Subject
from leak_suite.units import MIB

__all__ = ["grows_with", "judge_phases", "watch_phases"]

_SECONDS = 2.0
_WARM_UP_SECONDS = 0.5
_LONGEST = 20.0
"""A phase of iterations that take long has at least one of them, and ends after so many seconds."""
_MOST_BYTES, _MOST_COUNTED = 64 * MIB, 40
"""What a phase may add at the rate of the verdict."""
_SLICE_SECONDS = 0.05
_MOST_OF_IT = 0.8
"""Growth is by the one or the other if it makes this share of the growth of the working phase."""


def grows_with(
    subject: Subject, findings: Sequence[Finding], *, seconds: float = _SECONDS
) -> GrowthDriver | None:
    """What the growth of the first growing finding goes with; None where none of them can tell.

    Each of three phases takes `seconds`.

    Raises:
        SubjectError: the subject ended while it was watched.
    """
    finding = _finding_to_watch(findings)
    if finding is None or not finding.rate:
        return None
    most: float = _MOST_BYTES if finding.unit == "bytes" else _MOST_COUNTED
    if finding.unit != "bytes" and not metric_named(finding.metric).exact:
        most = _MOST_BYTES / 64  # blocks and objects
    iterations = max(1, int(most / finding.rate))
    phases = watch_phases(subject, lambda: _value(subject, finding), iterations, seconds=seconds)
    return judge_phases(finding.metric, finding.unit, phases)


def _finding_to_watch(findings: Sequence[Finding]) -> Finding | None:
    """A growing one: live memory says more than counts of things, and resident memory least."""

    def key(finding: Finding) -> tuple[bool, bool, int]:
        metric = metric_named(finding.metric)
        return metric.resident, not metric.live, priority(finding.metric)

    growing = [f for f in findings if f.outcome is Outcome.GROWING and f.metric != "peak"]
    return min(growing, key=key, default=None)


def _value(subject: Subject, finding: Finding) -> float | None:
    """The metric now, settled, in the processes that the finding is about."""
    found = subject.round(0, seconds=0.0, guard_factor=1e9)
    if not finding.process:
        return found.values.get(finding.metric)
    values = [
        value
        for reading in found.processes.values()
        if reading.group == finding.process
        and (value := reading.values.get(finding.metric)) is not None
    ]
    return sum(values) if values else None


def watch_phases(
    subject: Subject,
    value: Callable[[], float | None],
    iterations: int,
    *,
    seconds: float = _SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Phase, ...]:
    """Growth of `value` in a working, an idle and a slower phase of up to so many `iterations`."""
    subject.work(iterations, seconds=_WARM_UP_SECONDS)
    pace = 0.0

    def work() -> int:
        nonlocal pace
        done = subject.work(iterations, seconds=seconds)
        pace = done.seconds / done.done if done.done else 0.0
        return done.done

    def idle() -> int:
        sleep(seconds)
        return 0

    def slowly() -> int:
        count, until = 0, clock() + min(_LONGEST, max(seconds, 2 * pace))
        while clock() < until and count < iterations:
            some = subject.work(iterations - count, seconds=_SLICE_SECONDS)
            count += some.done
            sleep(max(some.seconds, _SLICE_SECONDS / 2))
        return count

    phases = []
    for name, act in (("at work", work), ("idle", idle), ("at a slower pace", slowly)):
        before, began = value(), clock()
        done = act()
        took = clock() - began
        after = value()
        growth = None if before is None or after is None else after - before
        phases.append(Phase(name, done, took, growth))
    return tuple(phases)


def judge_phases(metric: str, unit: str, phases: Sequence[Phase]) -> GrowthDriver | None:
    """The least squares of growth = per_iteration * iterations + per_second * seconds.

    None where a phase could not be read, or no work was done.
    """
    known = [(float(p.iterations), p.seconds, p.growth) for p in phases if p.growth is not None]
    if len(known) < len(phases):
        return None
    nn, nt, tt = (
        sum(n * n for n, _, _ in known),
        sum(n * t for n, t, _ in known),
        sum(t * t for _, t, _ in known),
    )
    ng, tg = sum(n * g for n, _, g in known), sum(t * g for _, t, g in known)
    determinant = nn * tt - nt * nt
    if determinant <= 0:
        return None
    per_iteration = (tt * ng - nt * tg) / determinant
    per_second = (nn * tg - nt * ng) / determinant
    first = phases[0]
    by_work = max(0.0, per_iteration * first.iterations)
    by_clock = max(0.0, per_second * first.seconds)
    if by_work + by_clock <= 0:
        return None
    share = by_clock / (by_work + by_clock)
    kind = "both"
    if share >= _MOST_OF_IT:
        kind = "clock"
    elif share <= 1 - _MOST_OF_IT:
        kind = "work"
    return GrowthDriver(
        kind, metric, unit, max(0.0, per_iteration), max(0.0, per_second), tuple(phases)
    )
