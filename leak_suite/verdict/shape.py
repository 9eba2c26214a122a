"""The shape of a series: when it rose, how long it was flat, whether it falls back or fades."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from leak_suite.verdict.trend import Point, Trend, sen_slope, thin, trend

__all__ = ["Rises", "Steady", "cycles", "fades", "falls", "rises", "stalls", "steady", "tooth"]


@dataclass(frozen=True)
class Rises:
    """Where the series reached new heights: how often, the longest wait, the wait at its end."""

    count: int
    late: int  # of them in the second half of the iterations
    longest_gap: float
    tail: float
    last: float  # iteration of the last rise


@dataclass(frozen=True)
class Steady:
    """Growth over the last part of a series, as a whole and in its two halves."""

    points: tuple[Point, ...]
    whole: Trend
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


def rises(points: Sequence[Point], quantum: float) -> Rises:
    """Count the new heights that top the last one by more than `quantum`."""
    start, record = points[0]
    end = points[-1][0]
    times = [start]
    for n, value in points:
        if value > record + quantum:
            times.append(n)
            record = value
    gaps = [b - a for a, b in pairwise(times)]
    return Rises(
        count=len(gaps),
        late=sum(t > (start + end) / 2 for t in times[1:]),
        longest_gap=max(gaps, default=0.0),
        tail=end - times[-1],
        last=times[-1],
    )


def tooth(points: Sequence[Point], blocks: int = 12) -> float:
    """Height of the largest rise that was given back: a saw-tooth's tooth, block by block.

    A fall from the level of the start was never a rise, so it does not count, unless it did rise
    just before: then the series began high up on a tooth.
    """
    values = [v for _, v in thin(points, blocks)]
    low = high = values[0]
    largest = 0.0
    for value in values:
        high = max(high, value)
        fall, rise = high - value, high - low
        largest = max(largest, fall if rise >= 0.02 * fall else rise)
        if value < low:
            low = high = value
    return largest


def falls(points: Sequence[Point]) -> float:
    """All steps down, added up."""
    return sum(max(0.0, a[1] - b[1]) for a, b in pairwise(points))


def steady(points: Sequence[Point]) -> Steady:
    """Measure the growth of `points` as a whole and in its two halves."""
    points = thin(points)
    early, late = _halves(points)
    one, two = _rates(early, late)
    # A fading series is concave: its second half lags behind by more than its steps explain.
    noise = math.hypot(_unevenness(early), _unevenness(late))
    lags = two < 0.7 * one or two + 3 * noise < 0.92 * one
    return Steady(tuple(points), trend(points), one, two, decays=lags)


def stalls(points: Sequence[Point], rate: float) -> bool:
    """Whether the last quarter gains less than half its share, where steps and noise show that."""
    end, length = points[-1][0], points[-1][0] - points[0][0]
    last = [p for p in points if p[0] >= end - length / 4]
    share = rate * length / 4
    values = [v for _, v in points]
    # Bends of the series from point to point: noise, and little else.
    bends = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    largest = max(b - a for a, b in pairwise(values))
    if len(last) < 3 or share < max(2 * largest, 2 * median(bends)):
        return False
    gained = (last[-1][1] - last[0][1]) / (last[-1][0] - last[0][0])
    return gained < 0.5 * rate


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


def fades(points: Sequence[Point], noise: float, share: float) -> bool:
    """Whether the growth dies away: each fifth of the run gains clearly less than the last.

    The last fifth must gain no more than `share` of the first.
    """
    ends = _at_fifths(points)
    gains = [b - a for a, b in pairwise(ends)]
    if gains[0] <= 8 * noise:
        return False
    falling = all(b <= 0.85 * a + noise for a, b in pairwise(gains))
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
    steps = [b - a for a, b in pairwise(values)]
    ends = [b for a, b in pairwise(values) if b - a <= -0.4 * spread]
    drops = sum(-step for step in steps if step <= -0.4 * spread)
    if spread <= 0 or len(ends) < 2 or drops < 0.8 * falls(points):
        return False
    middle = len(values) // 2
    tops = max(values[middle:]) <= max(values[:middle]) + 0.1 * spread
    return tops and ends[-1] <= ends[0] + 0.2 * spread
