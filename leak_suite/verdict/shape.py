"""The shape of a series: new maxima, reversals, decay, cycles, and the pace of its halves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from leak_suite.verdict import thresholds
from leak_suite.verdict.trend import (
    Interval,
    Point,
    Trend,
    drift_interval,
    sen_interval,
    sen_slope,
    steps_interval,
    thin,
    trend,
)

__all__ = [
    "NewMaxima",
    "Ramp",
    "cycles",
    "decays",
    "growth_of",
    "has_just_stopped",
    "is_kept",
    "max_reversal",
    "measure_ramp",
    "new_maxima",
    "stalls",
    "total_decrease",
]


@dataclass(frozen=True)
class NewMaxima:
    """Where the series reached new maxima, in iterations.

    `count` of them, `late` ones in the second half; the `longest_gap` between two, the `tail` since
    the `last`.
    """

    count: int
    late: int
    longest_gap: float
    tail: float
    last: float


@dataclass(frozen=True)
class Ramp:
    """Growth over the last part of a series.

    `whole` is its trend; `rate` and `interval` (95%) are what is said of it, see `growth_of`;
    `first` and `second` are the rates of its halves; all in unit per iteration. It `decays` if the
    second half lags behind.
    """

    points: tuple[Point, ...]
    whole: Trend
    rate: float
    interval: Interval
    first: float
    second: float
    decays: bool

    @property
    def length(self) -> float:
        """Iterations covered."""
        return self.points[-1][0] - self.points[0][0]

    @property
    def growth(self) -> float:
        """What the line through the points gains over them."""
        return self.whole.rate * self.length


def new_maxima(points: Sequence[Point], quantum: float) -> NewMaxima:
    """The values that exceed the last maximum by more than `quantum`."""
    start, record = points[0]
    end = points[-1][0]
    times = [start]
    for n, value in points:
        if value > record + quantum:
            times.append(n)
            record = value
    gaps = [b - a for a, b in pairwise(times)]
    return NewMaxima(
        count=len(gaps),
        late=sum(t > (start + end) / 2 for t in times[1:]),
        longest_gap=max(gaps, default=0.0),
        tail=end - times[-1],
        last=times[-1],
    )


def max_reversal(points: Sequence[Point], blocks: int = thresholds.REVERSAL_BLOCKS) -> float:
    """The largest rise that was given back afterwards (a drawdown), over averaged blocks.

    A fall from the level of the start was never a rise, so it does not count, unless it did rise
    just before: then the series began near a maximum.
    """
    values = [v for _, v in thin(points, blocks)]
    low = high = values[0]
    largest = 0.0
    for value in values:
        high = max(high, value)
        fall, rise = high - value, high - low
        largest = max(largest, fall if rise >= thresholds.REVERSAL_START * fall else rise)
        if value < low:
            low = high = value
    return largest


def total_decrease(points: Sequence[Point]) -> float:
    """The sum of all steps down."""
    return sum(max(0.0, a[1] - b[1]) for a, b in pairwise(points))


def is_kept(points: Sequence[Point]) -> bool:
    """Whether next to nothing of the growth was ever given back."""
    net = points[-1][1] - points[0][1]
    return total_decrease(points) <= thresholds.STAIRCASE_DECREASE * net


def growth_of(points: Sequence[Point], line: Trend) -> tuple[float, Interval]:
    """The rate of a series that grows, and the interval (95%) that it lies in.

    Sen's slope with its standard error around a straight line. What is no line (it filled before it
    leaked, or is made of steps) is far from it, and its error may reach below zero though there is
    no doubt of its growth. Then Sen's own interval counts, which does not depend on how far; and if
    that reaches zero as well, as that of long stairs does, the rate from end to end, with the error
    of what the series is: steps that are kept, or a drift.
    """
    if line.interval[0] > 0:
        return line.rate, line.interval
    by_rank = sen_interval(thin(points))
    if by_rank[0] > 0:
        return line.rate, by_rank
    if is_kept(points):
        rate = (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])
        return rate, steps_interval(points)
    low, high = drift_interval(thin(points))
    return (low + high) / 2, (low, high)


def measure_ramp(points: Sequence[Point]) -> Ramp:
    """The growth of `points` as a whole and in its two halves."""
    readings, points = points, thin(points)
    early, late = _halves(points)
    one, two = _rates(early, late)
    # A decaying series is concave: its second half lags behind by more than its steps explain.
    noise = math.hypot(_unevenness(early), _unevenness(late))
    errors = thresholds.HALVES_ERRORS * noise
    lags = two < thresholds.HALVES_DECAY * one or two + errors < thresholds.HALVES_DECAY_SURE * one
    whole = trend(points)
    rate, interval = growth_of(readings, whole)
    return Ramp(tuple(points), whole, rate, interval, one, two, decays=lags)


def stalls(points: Sequence[Point], rate: float) -> bool:
    """Whether the last quarter gains less than half its share, where steps and noise show that."""
    end, length = points[-1][0], points[-1][0] - points[0][0]
    last = [p for p in points if p[0] >= end - length / 4]
    share = rate * length / 4
    values = [v for _, v in points]
    # Bends of the series from point to point: noise, and little else.
    bends = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    largest = max(b - a for a, b in pairwise(values))
    if len(last) < 3 or share < thresholds.STALL_STEPS * max(largest, median(bends)):
        return False
    gained = (last[-1][1] - last[0][1]) / (last[-1][0] - last[0][0])
    return gained < thresholds.STALL_SHARE * rate


def has_just_stopped(points: Sequence[Point]) -> bool:
    """Whether growth was even until the last step or steps, which fall far behind its pace.

    A cache that has become full since the last reading or two; a quarter of the run is too coarse.
    """
    paces = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(points)]
    if len(paces) < thresholds.STOPPED_STEPS:
        return False
    usual = median(paces)
    while paces and paces[-1] < thresholds.STOPPED_PACE * usual:
        paces.pop()
    stopped = len(paces) < len(points) - 1
    return stopped and bool(paces) and min(paces) >= thresholds.EVEN_PACE * usual


def _unevenness(points: Sequence[Point]) -> float:
    """Standard error of the rate of these points, as their steps scatter around it."""
    length = points[-1][0] - points[0][0]
    rate = (points[-1][1] - points[0][1]) / length
    steps = pairwise(points)
    return math.sqrt(sum((b[1] - a[1] - rate * (b[0] - a[0])) ** 2 for a, b in steps)) / length


def _halves(points: Sequence[Point]) -> tuple[Sequence[Point], Sequence[Point]]:
    """Cut at half of the iterations; rounds get longer, so that is not half of the points."""
    half = (points[0][0] + points[-1][0]) / 2
    near = min(range(len(points)), key=lambda k: abs(points[k][0] - half))
    middle = min(max(near, 2), len(points) - 3)
    return points[: middle + 1], points[middle:]


def _rates(early: Sequence[Point], late: Sequence[Point]) -> tuple[float, float]:
    """Rates of the two halves; from end to end where the steps are too rare for Sen's slope."""
    slopes = [sen_slope(part) for part in (early, late)]
    if min(slopes) > 0:
        return slopes[0], slopes[1]
    first, second = ((p[-1][1] - p[0][1]) / (p[-1][0] - p[0][0]) for p in (early, late))
    return first, second


def decays(points: Sequence[Point], noise: float, share: float) -> bool:
    """Whether the growth dies away: each fifth of the run gains clearly less than the last.

    The last fifth must gain no more than `share` of the first.
    """
    ends = _at_fifths(points)
    gains = [b - a for a, b in pairwise(ends)]
    if gains[0] <= thresholds.FIFTH_NOISE * noise:
        return False
    falling = all(b <= thresholds.FIFTH_DECAY * a + noise for a, b in pairwise(gains))
    return falling and gains[-1] <= share * gains[0]


def _at_fifths(points: Sequence[Point]) -> list[float]:
    """The values at 0, 1/5, … of the iterations, averaged with their close neighbours."""
    start, length = points[0][0], points[-1][0] - points[0][0]
    reach = length / 50
    result = []
    for k in range(6):
        at = start + k * length / 5
        near = [v for n, v in points if abs(n - at) <= reach]
        result.append(fmean(near) if near else min(points, key=lambda p: abs(p[0] - at))[1])
    return result


def cycles(points: Sequence[Point]) -> bool:
    """Whether the series climbs and drops, at least twice, between bounds that stay."""
    values = [v for _, v in points]
    spread = max(values) - min(values)
    drop = thresholds.DROP_SHARE * spread
    steps = [b - a for a, b in pairwise(values)]
    ends = [b for a, b in pairwise(values) if b - a <= -drop]
    drops = sum(-step for step in steps if step <= -drop)
    if spread <= 0 or len(ends) < 2 or drops < thresholds.DROPS_SHARE * total_decrease(points):
        return False
    middle = len(values) // 2
    tops = max(values[middle:]) <= max(values[:middle]) + thresholds.CYCLE_TOP * spread
    return tops and ends[-1] <= ends[0] + thresholds.CYCLE_BOTTOM * spread
