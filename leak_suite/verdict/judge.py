"""Judging one series: growing, stable, or undecided yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.verdict import thresholds
from leak_suite.verdict.policy import enough_for_growth, enough_for_stable, noise_allowance
from leak_suite.verdict.ramp import PreparedSeries, prepare
from leak_suite.verdict.shape import (
    NewMaxima,
    Ramp,
    cycles,
    decays,
    has_just_stopped,
    max_reversal,
    new_maxima,
    total_decrease,
)
from leak_suite.verdict.tolerance import Tolerance
from leak_suite.verdict.trend import Trend, trend

__all__ = ["judge", "judge_prepared", "judge_with_leaders"]


def judge(
    series: Series, tolerance: Tolerance, *, final: bool = False, seconds: float = 0.0
) -> Finding | None:
    """Judge one metric by its own series; None asks for more rounds, never when `final`.

    `seconds` is the time that the workload has run since warm-up, 0 if it is not known.
    """
    return judge_prepared(prepare(series, tolerance, final=final, seconds=seconds))


def judge_prepared(prepared: PreparedSeries) -> Finding | None:
    """The finding of a prepared series; None asks for more rounds, never when it is `final`."""
    if len(prepared.points) < 2 or prepared.length <= 0:
        return _too_few(prepared) if prepared.final else None
    ramp = prepared.ramp
    if ramp is not None:
        enough = enough_for_growth(ramp, prepared.tolerance, prepared.seconds, prepared.length)
        grown = [p for p in prepared.points if p[0] >= ramp.points[0][0]]
        if enough and not prepared.final and has_just_stopped(grown):
            return None
        if enough:
            return _growing(prepared, ramp)
        remark = Clause(ClauseKind.NOT_PROVEN, iterations=ramp.length)
        return _growing(prepared, ramp, remark) if prepared.final else None
    return _flat(prepared)


def judge_with_leaders(prepared: PreparedSeries, leaders: Sequence[str]) -> Finding | None:
    """The finding of a metric that grows steadily in a run whose `leaders` are known to leak."""
    ramp = prepared.ramp
    remark = Clause(ClauseKind.GREW_WITH, metrics=tuple(leaders))
    return None if ramp is None else _growing(prepared, ramp, remark)


def _growing(prepared: PreparedSeries, ramp: Ramp, *remarks: Clause) -> Finding:
    growth = ramp.rate * ramp.length
    clauses = [Clause(ClauseKind.GREW, value=growth, rate=ramp.rate, iterations=ramp.length)]
    if ramp.length < thresholds.WHOLE_RUN * prepared.length:
        before = prepared.length - ramp.length
        clauses.append(Clause(ClauseKind.DIFFERENT_BEFORE, iterations=before))
    clauses += remarks
    found = _finding(prepared, Outcome.GROWING, Cause.LEAK, clauses, ramp.whole)
    return replace(found, rate=ramp.rate, interval=ramp.interval)


def _flat(prepared: PreparedSeries) -> Finding | None:
    """Stable where that can be seen, inconclusive at the end of a run, else None."""
    if len(prepared.points) < thresholds.MIN_SAMPLES:
        return _too_few(prepared) if prepared.final else None
    found = _level(prepared)
    if found is None and (later := _after_first_use(prepared)) is not prepared:
        found = _level(later)
    if found is None and (rest := _after_filling(prepared)) is not prepared:
        found = _level(rest)
    if found is None and prepared.final:
        return _cannot_tell(prepared, _end_of(prepared)[0])
    return found


def _level(prepared: PreparedSeries) -> Finding | None:
    """Stable, or None where that cannot be seen."""
    points, final = prepared.points, prepared.final
    spread = max(v for _, v in points) - min(v for _, v in points)
    still = spread <= prepared.tolerance.stillness
    if not final and not enough_for_stable(
        prepared.length, len(points), prepared.seconds, still=still
    ):
        return None
    line, steps = _end_of(prepared)
    if spread > thresholds.CYCLE_QUANTA * prepared.tolerance.quantum and cycles(points):
        return _stable(prepared, ClauseKind.CYCLED, line, steps)
    if _is_settled(prepared, line, steps):
        return _stable(prepared, _shape_of(prepared, line, steps), line, steps)
    share = thresholds.DECAYED_SHARE_FINAL if final else thresholds.DECAYED_SHARE
    fading = not prepared.tolerance.exact and len(points) >= thresholds.DECAY_SAMPLES
    if fading and decays(points, _noise(prepared) / 2, share):
        return _stable(prepared, ClauseKind.DECAYED, line, steps)
    return None


def _end_of(prepared: PreparedSeries) -> tuple[Trend, NewMaxima]:
    """The trend since the last new maximum, or of all if that is short; and the new maxima."""
    points = prepared.points
    steps = new_maxima(points, max(prepared.tolerance.quantum, 2 * _noise(prepared)))
    tail = [p for p in points if p[0] >= steps.last]
    if steps.tail < thresholds.TAIL_SHARE * prepared.length or len(tail) < 4:
        tail = list(points)
    return trend(tail), steps


def _noise(prepared: PreparedSeries) -> float:
    """The spread of the second half around its trend."""
    points = prepared.points
    half = (points[0][0] + points[-1][0]) / 2
    late = [p for p in points if p[0] >= half]
    return trend(late).spread if len(late) > 2 else 0.0


def _after_first_use(prepared: PreparedSeries) -> PreparedSeries:
    """Without what came before a step early in the run that is most of all that ever moved.

    What the first iterations load lies far below everything else, and would drown it.
    """
    points = prepared.points
    steps = [b[1] - a[1] for a, b in pairwise(points)]
    largest = max(range(len(steps)), key=lambda k: steps[k], default=0)
    if len(points) - largest <= 2 * thresholds.MIN_SAMPLES:
        return prepared
    early = points[largest + 1][0] <= points[0][0] + thresholds.EARLY * prepared.length
    if not early or steps[largest] <= thresholds.MOST_OF_ALL * (
        max(v for _, v in points) - points[0][1]
    ):
        return prepared
    return replace(prepared, points=points[largest + 1 :])


def _after_filling(prepared: PreparedSeries) -> PreparedSeries:
    """The second half of the iterations, where the first brought nearly all that was gained.

    What fills and then trickles keeps reaching new maxima, each next to nothing.
    """
    points = prepared.points
    half = (points[0][0] + points[-1][0]) / 2
    late = tuple(p for p in points if p[0] >= half)
    rise = points[-1][1] - points[0][1]
    filled = rise > 0 and late[0][1] - points[0][1] >= thresholds.FILLED_SHARE * rise
    if not filled or len(late) < thresholds.FILLED_SAMPLES:
        return prepared
    return replace(prepared, points=late)


def _below_min_rate(prepared: PreparedSeries, line: Trend) -> bool:
    """Whether growth, if there is any, is below what is tolerated."""
    return line.rate + 2 * line.error < prepared.tolerance.min_rate


def _ends_below_min_rate(prepared: PreparedSeries) -> bool:
    """Whether the last quarter gains less than is tolerated, so that it hides no late start."""
    end, value = prepared.points[-1]
    n, before = min(prepared.points, key=lambda p: abs(p[0] - (end - prepared.length / 4)))
    return value - before < max(
        prepared.tolerance.min_rate * (end - n), prepared.tolerance.minimum_growth
    )


def _is_settled(prepared: PreparedSeries, line: Trend, steps: NewMaxima) -> bool:
    tolerance, length = prepared.tolerance, prepared.length
    limit = max(
        tolerance.max_detectable * noise_allowance(prepared.seconds),
        thresholds.SETTLED_GROWTH * tolerance.minimum_growth / length,
    )
    if prepared.final:
        limit = max(
            limit,
            thresholds.SETTLED_LIMIT_FINAL * tolerance.max_detectable,
            thresholds.SETTLED_GROWTH_FINAL * tolerance.minimum_growth / length,
        )
    seen = _detectable(prepared, line)
    small = line.rate * length < tolerance.minimum_growth / 2 or line.rate < tolerance.min_rate
    if _below_min_rate(prepared, line) and seen <= limit and _ends_below_min_rate(prepared):
        return True
    still = small or (line.z < thresholds.LEVEL_SCORE and line.rate + 2 * line.error < limit / 2)
    if steps.count == 0:
        return still and seen <= limit
    gaps = thresholds.SETTLED_GAPS_FINAL if prepared.final else thresholds.SETTLED_GAPS
    waited = steps.tail >= gaps * steps.longest_gap
    # Records of a wandering series get rarer but never stop: there the trend alone decides.
    rise = max(v for _, v in prepared.points) - prepared.points[0][1]
    wanders = total_decrease(prepared.points) > thresholds.WANDERING_SHARE * rise
    return still and seen <= limit and (waited or wanders or _negligible(prepared))


def _negligible(prepared: PreparedSeries) -> bool:
    values = [v for _, v in prepared.points]
    net = max(values) - values[0]
    if prepared.tolerance.exact:
        return prepared.final and net <= 1
    return net < prepared.tolerance.minimum_growth and (
        prepared.final or net < prepared.tolerance.min_rate * prepared.length
    )


def _shape_of(prepared: PreparedSeries, line: Trend, steps: NewMaxima) -> ClauseKind:
    points, quantum = prepared.points, prepared.tolerance.quantum
    spread = max(v for _, v in points) - min(v for _, v in points)
    if _below_min_rate(prepared, line) and line.z >= thresholds.LEVEL_SCORE:
        return ClauseKind.BELOW_TOLERANCE
    if (
        steps.count == 0
        or max(v for _, v in points) - points[0][1] <= thresholds.CYCLE_QUANTA * quantum
    ):
        return ClauseKind.STAYED
    if max_reversal(points) > thresholds.CYCLE_REVERSAL * spread:
        return ClauseKind.CYCLED
    if steps.tail < min(steps.longest_gap, thresholds.SHORT_TAIL * prepared.length):
        return ClauseKind.MOVED_LITTLE
    early = steps.last <= points[0][0] + thresholds.FIRST_USE_SHARE * prepared.length
    few = steps.count <= thresholds.FIRST_USE_STEPS
    return ClauseKind.FIRST_USE if early and few else ClauseKind.LEVELLED_OFF


_CAUSES = {
    ClauseKind.LEVELLED_OFF: Cause.PLATEAU,
    ClauseKind.DECAYED: Cause.PLATEAU,
    ClauseKind.FIRST_USE: Cause.FIRST_USE,
    ClauseKind.CYCLED: Cause.CYCLE,
}


def _stable(prepared: PreparedSeries, shape: ClauseKind, line: Trend, steps: NewMaxima) -> Finding:
    values = [v for _, v in prepared.points]
    rise = max(values) - values[0]
    facts = {
        ClauseKind.STAYED: Clause(shape, value=values[-1]),
        ClauseKind.CYCLED: Clause(shape, value=min(values), limit=max(values)),
        ClauseKind.BELOW_TOLERANCE: Clause(
            shape, rate=line.rate, limit=prepared.tolerance.min_rate
        ),
        ClauseKind.FIRST_USE: Clause(shape, value=rise, iterations=steps.tail),
        ClauseKind.LEVELLED_OFF: Clause(shape, value=rise, limit=values[-1], iterations=steps.tail),
    }
    clause = replace(facts.get(shape, Clause(shape, value=rise)), of=prepared.length)
    return _finding(prepared, Outcome.STABLE, _CAUSES.get(shape, Cause.NONE), [clause], line)


def _cannot_tell(prepared: PreparedSeries, line: Trend) -> Finding:
    if line.z >= thresholds.LEVEL_SCORE:
        cause, clause = Cause.UNSETTLED, Clause(ClauseKind.UNEVEN, of=prepared.length)
    else:
        rate = _detectable(prepared, line)
        cause, clause = Cause.NOISY, Clause(ClauseKind.NOISY, rate=rate, of=prepared.length)
    return _finding(prepared, Outcome.INCONCLUSIVE, cause, [clause], line)


def _too_few(prepared: PreparedSeries) -> Finding:
    series, known = prepared.series, len(prepared.points)
    if known == 0 and series.samples[series.warm_up :]:
        cause, clause = Cause.BLIND, Clause(ClauseKind.BLIND)
    else:
        cause = Cause.TOO_FEW
        clause = Clause(ClauseKind.TOO_FEW, count=known, of=thresholds.MIN_SAMPLES)
    peak = max((v for _, v in prepared.points), default=None)
    return Finding(
        series.metric, series.unit, Outcome.INCONCLUSIVE, cause, peak=peak, clauses=(clause,)
    )


def _detectable(prepared: PreparedSeries, line: Trend) -> float:
    tolerance = prepared.tolerance
    smallest = tolerance.minimum_growth / prepared.length
    return max(
        tolerance.min_rate,
        smallest,
        thresholds.DETECTION_ERRORS * line.error if not tolerance.exact else 0.0,
    )


def _finding(
    prepared: PreparedSeries,
    outcome: Outcome,
    cause: Cause,
    clauses: Sequence[Clause],
    line: Trend,
) -> Finding:
    return Finding(
        metric=prepared.series.metric,
        unit=prepared.series.unit,
        outcome=outcome,
        cause=cause,
        rate=line.rate,
        interval=line.interval,
        detectable_rate=_detectable(prepared, line),
        longest_period=max(1, int(prepared.length // thresholds.LONGEST_PERIOD_SHARE)),
        peak=max(v for _, v in prepared.points),
        clauses=tuple(clauses),
    )
