"""Counted things that grew until the run had to end: too few readings for a trend, and enough."""

from __future__ import annotations

from itertools import pairwise

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.verdict import thresholds
from leak_suite.verdict.tolerance import Tolerance, resolve_tolerance

__all__ = ["grew_to_the_end"]


def grew_to_the_end(series: Series, tolerance: Tolerance) -> Finding | None:
    """The finding of a counted metric that never fell and still rose when the run was ended.

    For a run that was stopped by what else grew, or because the workload began to fail: what is
    counted needs no statistics, and a resource that ran out is most often the reason. Readings of
    warm-up count too. None where the series does not show it.
    """
    points = [(n, value) for n, value in series.samples if value is not None]
    resolved = resolve_tolerance(series.metric, tolerance)
    if not resolved.exact or len(points) < thresholds.EXHAUSTED_SAMPLES:
        return None
    (first, low), (last, high) = points[0], points[-1]
    if last <= first or high - low < resolved.minimum_growth:
        return None
    if any(b[1] < a[1] for a, b in pairwise(points)):
        return None
    rate = (high - low) / (last - first)
    # The last reading alone would not do: it may follow a single iteration, and be taken after the
    # failure, which has closed the connection of the client.
    earlier = last - thresholds.EXHAUSTED_LATE * (last - first)
    before, level = [point for point in points if point[0] <= earlier][-1]
    late_rate = (high - level) / (last - before)
    if rate < thresholds.EXHAUSTED_RATE or late_rate < thresholds.EXHAUSTED_LATE_RATE * rate:
        return None
    clause = Clause(ClauseKind.GREW_TO_THE_END, value=low, limit=high, rate=rate, count=len(points))
    return Finding(
        metric=series.metric,
        unit=series.unit,
        outcome=Outcome.GROWING,
        cause=Cause.LEAK,
        rate=rate,
        interval=(rate, rate),
        detectable_rate=resolved.minimum_growth / (last - first),
        longest_period=max(1, int((last - first) // thresholds.LONGEST_PERIOD_SHARE)),
        peak=max(value for _, value in points),
        clauses=(clause,),
    )
