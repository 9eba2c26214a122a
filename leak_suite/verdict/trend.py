"""Slope of a noisy series with an honest error: Sen, Mann-Kendall, autocorrelation, drift."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

__all__ = [
    "Interval",
    "Point",
    "Trend",
    "drift_interval",
    "sen_interval",
    "sen_slope",
    "steps_interval",
    "thin",
    "trend",
]

Point = tuple[float, float]
Interval = tuple[float, float]

_QUANTILE = 1.96  # of the normal distribution, for intervals that hold 95%
_LIMIT = 48  # points after thinning: enough to judge, few enough that pairs stay cheap


@dataclass(frozen=True)
class Trend:
    """A straight line through a series.

    `rate` is Sen's slope, `error` its standard error, `spread` the standard deviation around the
    line. `z` is how many standard deviations the growth is away from chance: the larger of two
    tests, one for readings that wander around a level, one for readings that wander off for ever.
    """

    rate: float
    error: float
    spread: float
    z: float

    @property
    def interval(self) -> Interval:
        """The rates that the readings allow, 95%."""
        half = _QUANTILE * self.error
        return self.rate - half, self.rate + half


def thin(points: Sequence[Point], limit: int = _LIMIT) -> tuple[Point, ...]:
    """At most `limit` points: neighbours are averaged, in groups as equal as possible."""
    count = len(points)
    if count <= limit:
        return tuple(points)
    edges = [round(k * count / limit) for k in range(limit + 1)]
    groups = [points[a:b] for a, b in pairwise(edges)]
    return tuple((fmean(n for n, _ in group), fmean(v for _, v in group)) for group in groups)


def trend(points: Sequence[Point]) -> Trend:
    """The trend of at least three points."""
    points = thin(points)
    rate = sen_slope(points)
    residuals = _residuals(points, rate)
    inflation = _inflation(residuals)
    spread = math.sqrt(sum(r * r for r in residuals) / max(1, len(points) - 2))
    mean = fmean(n for n, _ in points)
    width = math.sqrt(sum((n - mean) ** 2 for n, _ in points))
    error = spread * math.sqrt(inflation) / width
    z = max(_mann_kendall(points) / math.sqrt(inflation), _drift(points))
    return Trend(rate=rate, error=error, spread=spread, z=z)


def sen_slope(points: Sequence[Point]) -> float:
    """Median of the slopes of all pairs (Sen 1968)."""
    slopes = _slopes(points)
    return median(slopes) if slopes else 0.0


def sen_interval(points: Sequence[Point]) -> Interval:
    """The rates, 95%, that the Mann-Kendall test would not refuse (Sen 1968).

    Far from the line a reading counts no more than near it, other than in `Trend.interval`. The
    test's variance is widened as in `trend`. Of at least three points.
    """
    slopes = sorted(_slopes(points))
    variance = _kendall_variance([v for _, v in points])
    widened = variance * _inflation(_residuals(points, median(slopes)))
    reach = _QUANTILE * math.sqrt(max(0.0, widened))
    low = max(0, math.floor((len(slopes) - reach) / 2))
    return slopes[low], slopes[len(slopes) - 1 - low]


def _slopes(points: Sequence[Point]) -> list[float]:
    return [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for i, earlier in enumerate(points)
        for later in points[i + 1 :]
        if later[0] > earlier[0]
    ]


def _residuals(points: Sequence[Point], rate: float) -> list[float]:
    level = median(v - rate * n for n, v in points)
    return [v - rate * n - level for n, v in points]


def _inflation(residuals: Sequence[float]) -> float:
    """Factor by which autocorrelation widens the variance of a trend (after Hamed and Rao 1998).

    The lag-one correlation of a detrended short series reads too low; it is taken at its upper
    bound: bias (2 + 4r)/n added (Marriott and Pope 1954) and one standard error on top.
    """
    count = len(residuals)
    total = sum(r * r for r in residuals)
    scale = max((abs(r) for r in residuals), default=0.0)
    if total <= 0 or total < 1e-18 * scale * scale:
        return 1.0
    raw = sum(a * b for a, b in pairwise(residuals)) / total
    bounded = min(0.98, max(0.0, raw + (2 + 4 * max(raw, 0.0)) / count + 1 / math.sqrt(count)))
    return (1 + bounded) / (1 - bounded)


def _mann_kendall(points: Sequence[Point]) -> float:
    """Normal score of the Mann-Kendall test, with the correction for ties (Kendall 1975)."""
    values = [v for _, v in points]
    score = sum(
        (later > earlier) - (later < earlier)
        for i, earlier in enumerate(values)
        for later in values[i + 1 :]
    )
    variance = _kendall_variance(values)
    if variance <= 0 or score == 0:
        return 0.0
    return (score - math.copysign(1, score)) / math.sqrt(variance)


def _drift(points: Sequence[Point]) -> float:
    """Normal score of the drift, taking the series as a random walk: is it more than its steps."""
    rate, error, freedom = _random_walk(points)
    if freedom < 1 or rate == 0:
        return 0.0
    sure = error <= 1e-6 * abs(rate)
    return math.copysign(_score(1e6 if sure else abs(rate) / error, freedom), rate)


def drift_interval(points: Sequence[Point]) -> Interval:
    """The rates, 95%, that the readings allow if they are a random walk that drifts.

    By Student's t around the rate from the first reading to the last. Of at least three points.
    """
    rate, error, freedom = _random_walk(points)
    half = _t_of(_QUANTILE, freedom) * error
    return rate - half, rate + half


def steps_interval(points: Sequence[Point]) -> Interval:
    """The rates, 95%, that the readings allow if their steps come at random and are kept.

    The gamma interval of a weighted sum of Poisson counts (Fay and Feuer 1997), a step's height
    being its weight; quantiles after Wilson and Hilferty (1931). It never reaches zero where the
    series rises and hardly ever falls.
    """
    steps = [b[1] - a[1] for a, b in pairwise(points)]
    length = points[-1][0] - points[0][0]
    total, squares, highest = sum(steps), sum(s * s for s in steps), max(steps)
    if total <= 0:
        return total / length, total / length
    more, more_squares = total + highest, squares + highest * highest
    low = total * _gamma_quantile(total * total / squares, -_QUANTILE)
    high = more * _gamma_quantile(more * more / more_squares, _QUANTILE)
    return low / length, high / length


def _gamma_quantile(shape: float, normal: float) -> float:
    """The quantile of a gamma variable with mean 1, at that quantile of the normal distribution."""
    root = 1 - 1 / (9 * shape) + normal / (3 * math.sqrt(shape))
    return root * root * root


def _kendall_variance(values: Sequence[float]) -> float:
    """Of the pairs that rise less those that fall, if all orders are alike (Kendall 1975)."""
    count = len(values)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    return (count * (count - 1) * (2 * count + 5) - ties) / 18


def _random_walk(points: Sequence[Point]) -> tuple[float, float, int]:
    """(rate from end to end, its standard error by the scatter of the steps, their freedom)."""
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points) if b[0] > a[0]]
    freedom = len(steps) - 1
    length = sum(n for n, _ in steps)
    if freedom < 1:
        return 0.0, 0.0, freedom
    rate = sum(v for _, v in steps) / length
    variance = sum((v - rate * n) ** 2 / n for n, v in steps) / freedom
    return rate, math.sqrt(variance / length), freedom


def _score(t: float, freedom: int) -> float:
    """The normal score with about the same tail as Student's t (Wallace 1959)."""
    shrink = (8 * freedom + 1) / (8 * freedom + 3)
    return shrink * math.sqrt(freedom * math.log1p(t * t / freedom))


def _t_of(score: float, freedom: int) -> float:
    """The value of Student's t that has this normal score: the inverse of `_score`."""
    shrink = (8 * freedom + 1) / (8 * freedom + 3)
    return math.sqrt(freedom * math.expm1((score / shrink) ** 2 / freedom))
