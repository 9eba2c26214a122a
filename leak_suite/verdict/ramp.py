"""Ramps: where a series grows steadily, and not in steps, cycles or a drift that decays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from leak_suite.result import Series
from leak_suite.verdict import thresholds
from leak_suite.verdict.policy import is_slow
from leak_suite.verdict.shape import (
    NewMaxima,
    Ramp,
    growth_of,
    is_kept,
    max_reversal,
    measure_ramp,
    new_maxima,
    stalls,
)
from leak_suite.verdict.tolerance import ResolvedTolerance, Tolerance, resolve_tolerance
from leak_suite.verdict.trend import Interval, Point, Trend, trend

__all__ = ["PreparedSeries", "prepare", "rise_to_the_end"]


@dataclass(frozen=True)
class PreparedSeries:
    """One series with what is needed to judge it, prepared once.

    `points` are (iterations, value) after warm-up; the workload has run for `seconds`, 0 if that is
    not known; `final` is set when the run is over and an answer is due.
    """

    series: Series
    points: tuple[Point, ...]
    tolerance: ResolvedTolerance
    seconds: float
    final: bool

    @property
    def length(self) -> float:
        """Iterations between the first and the last judged reading."""
        return self.points[-1][0] - self.points[0][0] if self.points else 0.0

    @cached_property
    def ramp(self) -> Ramp | None:
        """The longest last part of the series over which it grows steadily, if there is one."""
        return _find_ramp(self) if self.length > 0 else None


def prepare(series: Series, tolerance: Tolerance, *, final: bool, seconds: float) -> PreparedSeries:
    """Prepare a series for judging."""
    points = tuple((float(n), float(value)) for n, value in series.judged())
    return PreparedSeries(
        series, points, resolve_tolerance(series.metric, tolerance), seconds, final
    )


def _find_ramp(prepared: PreparedSeries) -> Ramp | None:
    """The longest last part of the series over which it grows steadily, if there is one.

    A part that gets steeper holds what came before the growth; then a shorter one is preferred.
    """
    start, found = prepared.points[0][0], None
    for fraction in thresholds.RAMP_STARTS:
        part = tuple(p for p in prepared.points if p[0] >= start + fraction * prepared.length)
        if _outgrown(prepared, part):
            return _straight(part)
        if len(part) <= thresholds.MIN_SAMPLES:
            break
        ramp = measure_ramp(part)
        if _is_ramp(prepared, part, ramp) and not (fraction and _slows_into(prepared, ramp)):
            found = ramp
            if ramp.second <= thresholds.STEEPENING * ramp.first:
                break
    return found


def rise_to_the_end(prepared: PreparedSeries) -> tuple[float, Interval] | None:
    """The rate of a series that rose and rises at its end, however unevenly; None of others."""
    points = prepared.points
    if (
        len(points) < 2 * thresholds.MIN_SAMPLES
        or points[-1][1] - points[0][1] < prepared.tolerance.minimum_growth
    ):
        return None
    half = (points[0][0] + points[-1][0]) / 2
    late = [p for p in points if p[0] >= half]
    line = trend(points)
    if (
        len(late) < thresholds.MIN_SAMPLES
        or line.z < thresholds.GROWTH_SCORE
        or stalls(points, line.rate)
    ):
        return None
    rate, interval = growth_of(points, line)
    rises = (
        trend(late).z >= thresholds.LEVEL_SCORE
        and max_reversal(points) < thresholds.UNEVEN_REVERSAL * line.rate * prepared.length
        and interval[0] > 0
    )
    return (rate, interval) if rises else None


def _slows_into(prepared: PreparedSeries, ramp: Ramp) -> bool:
    """Whether the series grew faster before the ramp, and slows down within it still.

    What fills at random by ever rarer keys grows with the logarithm of the iterations: half as fast
    each time that they double. Over a ramp of that length a slow one of those looks straight.
    """
    (begin, low), (start, high) = prepared.points[0], ramp.points[0]
    if (high - low) / (start - begin) <= thresholds.FASTER_BEFORE * ramp.whole.rate:
        return False
    if is_slow(ramp.whole.rate, prepared.tolerance) and (
        ramp.points[-1][0] < thresholds.SLOW_TRIPLED * start
        or ramp.growth < thresholds.SLOW_REMNANT * prepared.tolerance.minimum_growth
    ):
        return True
    return ramp.second < thresholds.STILL_SLOWING * ramp.first


def _is_ramp(prepared: PreparedSeries, part: Sequence[Point], ramp: Ramp) -> bool:
    tolerance = prepared.tolerance
    net = part[-1][1] - part[0][1]
    if (
        min(ramp.growth, net) < tolerance.minimum_growth
        or ramp.growth < tolerance.min_rate * ramp.length
    ):
        return False
    maxima = new_maxima(part, tolerance.quantum)
    if (
        maxima.late < 2
        or maxima.count - maxima.late < 2
        or maxima.tail > thresholds.GAP_FACTOR * maxima.longest_gap
    ):
        return False
    if (
        is_slow(ramp.whole.rate, prepared.tolerance)
        and ramp.second < thresholds.SLOW_KEPT_PACE * ramp.first
    ):
        return False
    if _is_one_step(part, net):
        return False
    if (
        ramp.decays
        or stalls(ramp.points, ramp.whole.rate)
        or net < thresholds.REVERSAL_FACTOR * max_reversal(prepared.points)
    ):
        return False
    if ramp.interval[0] <= 0:
        return False
    return ramp.whole.z >= thresholds.GROWTH_SCORE or _is_staircase(prepared, part, maxima)


def _is_one_step(part: Sequence[Point], net: float) -> bool:
    """Whether a single step is most of the growth: first use, and of that no rate can be said."""
    if len(part) < thresholds.ONE_STEP_READINGS:
        return False
    return max(b[1] - a[1] for a, b in pairwise(part)) > thresholds.ONE_STEP_SHARE * net


def _is_staircase(prepared: PreparedSeries, part: Sequence[Point], maxima: NewMaxima) -> bool:
    """NewMaxima that recur and are kept, on otherwise quiet ground."""
    if not is_kept(part):
        return False
    quiet = sum(b[1] - a[1] <= prepared.tolerance.quantum for a, b in pairwise(part))
    if prepared.tolerance.exact:
        return maxima.count >= thresholds.STAIRCASE_STEPS_EXACT
    mostly_flat = 2 * quiet >= len(part) - 1
    needed = thresholds.STAIRCASE_STEPS_FLAT if mostly_flat else thresholds.STAIRCASE_STEPS
    return maxima.count >= needed


def _outgrown(prepared: PreparedSeries, part: Sequence[Point]) -> bool:
    """Growth so large that few readings are enough: every step up, the last one as steep."""
    net = part[-1][1] - part[0][1]
    final = prepared.final
    needed = thresholds.OUTGROWN_SAMPLES_FINAL if final else thresholds.OUTGROWN_SAMPLES
    enough = net >= thresholds.OUTGROWN * prepared.tolerance.implausible
    if len(part) < needed or not enough:
        return False
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(part)]
    return min(slopes) > 0 and slopes[-1] >= thresholds.OUTGROWN_LAST_STEP * net / (
        part[-1][0] - part[0][0]
    )


def _straight(part: Sequence[Point]) -> Ramp:
    if len(part) > thresholds.MIN_SAMPLES:
        return measure_ramp(part)
    rate = (part[-1][1] - part[0][1]) / (part[-1][0] - part[0][0])
    line = Trend(rate, thresholds.OUTGROWN_ERROR * rate, 0.0, thresholds.GROWTH_SCORE)
    return Ramp(tuple(part), line, rate, line.interval, rate, rate, decays=False)
