"""Judging one series: growing, stable, or not to be told yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.verdict.policy import (
    MINIMUM_SAMPLES,
    enough_for_growth,
    enough_for_stable,
    patience_for_noise,
)
from leak_suite.verdict.ramp import QUIET, Look, look_at, ramp_in
from leak_suite.verdict.shape import Rises, Steady, cycles, fades, falls, rises, tooth
from leak_suite.verdict.tolerance import Tolerance
from leak_suite.verdict.trend import Trend, trend

__all__ = ["follow", "judge"]

# Growth is found with 90% power when it is this many standard errors large (4.5 and 1.3, rounded
# up for the test of both halves).
_SEEN = 6.5
# First use: a step in so early a part of the run, by so much of all that the series moves.
_EARLY, _MOST_OF_ALL = 0.1, 0.5


def judge(
    series: Series, tolerance: Tolerance, *, final: bool = False, seconds: float = 0.0
) -> Finding | None:
    """Judge one metric by its own series; None asks for more rounds, never when `final`.

    `seconds` is the time that the workload has run since warm-up, 0 if it is not known.
    """
    look = look_at(series, tolerance, final=final, seconds=seconds)
    if len(look.points) < 2 or look.length <= 0:
        return _too_few(look) if final else None
    ramp = ramp_in(look)
    if ramp is not None:
        enough = enough_for_growth(ramp, look.scale, seconds, look.length)
        if enough:
            return _growing(look, ramp)
        remark = Clause(ClauseKind.NOT_PROVEN, iterations=ramp.length)
        return _growing(look, ramp, remark) if final else None
    return _flat(look)


def follow(look: Look, leaders: Sequence[str]) -> Finding | None:
    """The finding of a metric that grows steadily in a run whose `leaders` are known to leak."""
    ramp = ramp_in(look) if look.length > 0 else None
    remark = Clause(ClauseKind.GREW_WITH, metrics=tuple(leaders))
    return None if ramp is None else _growing(look, ramp, remark)


def _growing(look: Look, ramp: Steady, *remarks: Clause) -> Finding:
    rate = ramp.whole.rate
    if rate <= 0:
        rate = (ramp.points[-1][1] - ramp.points[0][1]) / ramp.length
    growth = rate * ramp.length
    clauses = [Clause(ClauseKind.GREW, value=growth, rate=rate, iterations=ramp.length)]
    if ramp.length < 0.9 * look.length:
        before = look.length - ramp.length
        clauses.append(Clause(ClauseKind.DIFFERENT_BEFORE, iterations=before))
    clauses += remarks
    return _finding(look, Outcome.GROWING, Cause.LEAK, clauses, ramp.whole, rate=rate)


def _flat(look: Look) -> Finding | None:
    """Stable if the series can be seen to be, None or inconclusive if it cannot."""
    if len(look.points) < MINIMUM_SAMPLES:
        return _too_few(look) if look.final else None
    found = _level(look)
    if found is None and (later := _after_first_use(look)) is not look:
        found = _level(later)
    if found is None and look.final:
        return _cannot_tell(look, _end_of(look)[0])
    return found


def _level(look: Look) -> Finding | None:
    """Stable, or None where that cannot be seen."""
    points, final = look.points, look.final
    spread = max(v for _, v in points) - min(v for _, v in points)
    still = spread <= look.scale.stillness
    if not final and not enough_for_stable(look.length, len(points), look.seconds, still=still):
        return None
    line, steps = _end_of(look)
    if spread > 8 * look.scale.quantum and cycles(points):
        return _stable(look, ClauseKind.CYCLED, line, steps)
    if _at_rest(look, line, steps):
        return _stable(look, _shape_of(look, line, steps), line, steps)
    share = 0.5 if final else 0.25
    fading = not look.scale.exact and len(points) >= 10
    if fading and fades(points, _noise(look) / 2, share):
        return _stable(look, ClauseKind.DECAYED, line, steps)
    return None


def _end_of(look: Look) -> tuple[Trend, Rises]:
    """The rises of the series, and the trend since the last of them, or of all if that is short."""
    points = look.points
    steps = rises(points, max(look.scale.quantum, 2 * _noise(look)))
    tail = [p for p in points if p[0] >= steps.last]
    if steps.tail < 0.4 * look.length or len(tail) < 4:
        tail = list(points)
    return trend(tail), steps


def _noise(look: Look) -> float:
    """The spread of the second half around its trend."""
    points = look.points
    half = (points[0][0] + points[-1][0]) / 2
    late = [p for p in points if p[0] >= half]
    return trend(late).spread if len(late) > 2 else 0.0


def _after_first_use(look: Look) -> Look:
    """Without what came before a step early in the run that is most of all that ever moved.

    What the first iterations load lies far below everything else, and would drown it.
    """
    points = look.points
    steps = [b[1] - a[1] for a, b in pairwise(points)]
    largest = max(range(len(steps)), key=lambda k: steps[k], default=0)
    if len(points) - largest <= 2 * MINIMUM_SAMPLES:
        return look
    early = points[largest + 1][0] <= points[0][0] + _EARLY * look.length
    if not early or steps[largest] <= _MOST_OF_ALL * (max(v for _, v in points) - points[0][1]):
        return look
    return replace(look, points=points[largest + 1 :])


def _beneath(look: Look, line: Trend) -> bool:
    """Whether the growth, such as it is, stays under the floor."""
    return line.rate + 2 * line.error < look.scale.floor


def _ends_beneath(look: Look) -> bool:
    """Whether the last quarter too gains less than the floor: no late start hides in the whole."""
    end, value = look.points[-1]
    n, before = min(look.points, key=lambda p: abs(p[0] - (end - look.length / 4)))
    return value - before < max(look.scale.floor * (end - n), look.scale.minimum_growth)


def _at_rest(look: Look, line: Trend, steps: Rises) -> bool:
    scale, length = look.scale, look.length
    limit = max(
        scale.max_detectable * patience_for_noise(look.seconds), 2 * scale.minimum_growth / length
    )
    if look.final:
        limit = max(limit, scale.max_detectable * 32, 16 * scale.minimum_growth / length)
    seen = _detectable(look, line)
    small = line.rate * length < scale.minimum_growth / 2 or line.rate < scale.floor
    if _beneath(look, line) and seen <= limit and _ends_beneath(look):
        return True
    still = small or (line.z < QUIET and line.rate + 2 * line.error < limit / 2)
    if steps.count == 0:
        return still and seen <= limit
    patience = 1.0 if look.final else 3.0
    waited = steps.tail >= patience * steps.longest_gap
    # Records of a wandering series get rarer but never stop: there the trend alone decides.
    wanders = falls(look.points) > 0.5 * (max(v for _, v in look.points) - look.points[0][1])
    return still and seen <= limit and (waited or wanders or _negligible(look))


def _negligible(look: Look) -> bool:
    values = [v for _, v in look.points]
    net = max(values) - values[0]
    if look.scale.exact:
        return look.final and net <= 1
    return net < look.scale.minimum_growth and (look.final or net < look.scale.floor * look.length)


def _shape_of(look: Look, line: Trend, steps: Rises) -> ClauseKind:
    points, quantum = look.points, look.scale.quantum
    if _beneath(look, line) and line.z >= QUIET:
        return ClauseKind.BELOW_TOLERANCE
    if steps.count == 0 or max(v for _, v in points) - points[0][1] <= 8 * quantum:
        return ClauseKind.STAYED
    if tooth(points) > 0.6 * (max(v for _, v in points) - min(v for _, v in points)):
        return ClauseKind.CYCLED
    if steps.tail < min(steps.longest_gap, 0.25 * look.length):
        return ClauseKind.MOVED_LITTLE
    early = steps.last <= points[0][0] + 0.15 * look.length
    return ClauseKind.FIRST_USE if early and steps.count <= 3 else ClauseKind.LEVELLED_OFF


_CAUSES = {
    ClauseKind.LEVELLED_OFF: Cause.PLATEAU,
    ClauseKind.DECAYED: Cause.PLATEAU,
    ClauseKind.FIRST_USE: Cause.FIRST_USE,
    ClauseKind.CYCLED: Cause.CYCLE,
}


def _stable(look: Look, shape: ClauseKind, line: Trend, steps: Rises) -> Finding:
    values = [v for _, v in look.points]
    rise = max(values) - values[0]
    facts = {
        ClauseKind.STAYED: Clause(shape, value=values[-1]),
        ClauseKind.CYCLED: Clause(shape, value=min(values), limit=max(values)),
        ClauseKind.BELOW_TOLERANCE: Clause(shape, rate=line.rate, limit=look.scale.floor),
        ClauseKind.FIRST_USE: Clause(shape, value=rise, iterations=steps.tail),
        ClauseKind.LEVELLED_OFF: Clause(shape, value=rise, limit=values[-1], iterations=steps.tail),
    }
    clause = replace(facts.get(shape, Clause(shape, value=rise)), of=look.length)
    return _finding(look, Outcome.STABLE, _CAUSES.get(shape, Cause.NONE), [clause], line)


def _cannot_tell(look: Look, line: Trend) -> Finding:
    if line.z >= QUIET:
        cause, clause = Cause.UNSETTLED, Clause(ClauseKind.UNEVEN, of=look.length)
    else:
        rate = _detectable(look, line)
        cause, clause = Cause.NOISY, Clause(ClauseKind.NOISY, rate=rate, of=look.length)
    return _finding(look, Outcome.INCONCLUSIVE, cause, [clause], line)


def _too_few(look: Look) -> Finding:
    series, known = look.series, len(look.points)
    if known == 0 and series.samples[series.warm_up :]:
        cause, clause = Cause.BLIND, Clause(ClauseKind.BLIND)
    else:
        cause = Cause.TOO_FEW
        clause = Clause(ClauseKind.TOO_FEW, count=known, of=MINIMUM_SAMPLES)
    peak = max((v for _, v in look.points), default=None)
    return Finding(
        series.metric, series.unit, Outcome.INCONCLUSIVE, cause, peak=peak, clauses=(clause,)
    )


def _detectable(look: Look, line: Trend) -> float:
    scale = look.scale
    smallest = scale.minimum_growth / look.length
    return max(scale.floor, smallest, _SEEN * line.error if not scale.exact else 0.0)


def _finding(
    look: Look,
    outcome: Outcome,
    cause: Cause,
    clauses: Sequence[Clause],
    line: Trend,
    rate: float | None = None,
) -> Finding:
    known = line.rate if rate is None else rate
    return Finding(
        metric=look.series.metric,
        unit=look.series.unit,
        outcome=outcome,
        cause=cause,
        rate=known,
        interval=(known - 1.96 * line.error, known + 1.96 * line.error),
        detectable_rate=_detectable(look, line),
        longest_period=max(1, int(look.length // 3)),
        peak=max(v for _, v in look.points),
        clauses=tuple(clauses),
    )
