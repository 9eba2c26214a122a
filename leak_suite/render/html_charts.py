"""What a chart of one series shows, as plain data; the page's script draws it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple, TypedDict

from leak_suite.result import Finding, Series
from leak_suite.units import display_unit, format_rate, format_value
from leak_suite.verdict import Tolerance
from leak_suite.verdict.thresholds import RAMP_STARTS
from leak_suite.verdict.tolerance import resolve_tolerance
from leak_suite.verdict.trend import sen_slope, thin

__all__ = ["ChartData", "chart", "exactly", "thinned"]

_ROOM = 4.0  # how much of a chart's height warm-up or tolerance may take from the readings
_MOST = 800  # readings shown; a run takes a few dozen

Point = tuple[float, float]


class ChartLine(TypedDict):
    """A line with its name."""

    name: str
    x: list[float]
    y: list[float]


class ChartBand(TypedDict):
    """An area between two lines."""

    x: list[float]
    low: list[float]
    high: list[float]


class ChartData(TypedDict):
    """All that the page's script is given; values are in `unit`, and x counts iterations."""

    unit: str
    x: list[int]
    y: list[float | None]
    text: list[str]
    warm: int
    whole: bool
    span: list[float]
    range: list[float]
    fit: ChartLine | None
    band: ChartBand | None
    tolerance: ChartLine | None
    budget: ChartLine | None


class _FittedLine(NamedTuple):
    line: ChartLine
    band: ChartBand | None


def chart(
    series: Series, finding: Finding | None, tolerance: Tolerance | None, budget: float | None
) -> ChartData | None:
    """The readings, warm-up, fitted rate and limits of a series; None if nothing could be read."""
    known = [value for _, value in series.samples if value is not None]
    if not known:
        return None
    samples, warm = thinned(series)
    judged = series.judged()
    fit = None if finding is None else _fit(judged, finding)
    allowed = None if tolerance is None else _allowed(series, judged, tolerance)
    low, high = _range(series, tolerance, fit, allowed, budget)
    size, unit = _unit(low, high, series.unit)
    first, last = samples[0][0], samples[-1][0]
    margin = 0.015 * (last - first or 1)
    return {
        "unit": unit,
        "x": [n for n, _ in samples],
        "y": [None if value is None else _rounded(value / size) for _, value in samples],
        "text": [exactly(value, series.unit) for _, value in samples],
        "warm": min(warm, len(samples) - 1),
        "whole": tolerance is not None and tolerance.exact,
        "span": [_rounded(first - margin), _rounded(last + margin)],
        "range": [_rounded(low / size), _rounded(high / size)],
        "fit": _scaled(None if fit is None else fit.line, size),
        "band": _scaled_band(None if fit is None else fit.band, size),
        "tolerance": _scaled(allowed, size),
        "budget": _scaled(_level(budget, first, last, series.unit), size),
    }


def exactly(value: float | None, unit: str) -> str:
    """A reading with all its digits: `59.9 MiB (62,797,360 bytes)`, `3 threads`."""
    if value is None:
        return "unknown"
    digits = f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"
    if unit != "bytes":
        return f"{digits} {unit}"
    short = format_value(value, unit)
    return f"{digits} bytes" if short.endswith(" B") else f"{short} ({digits} bytes)"


def thinned(series: Series) -> tuple[Sequence[tuple[int, float | None]], int]:
    """Every reading, or every second, third … of very many, with the last; and its warm-up."""
    step = -(-len(series.samples) // _MOST)
    kept = [k for k in range(len(series.samples)) if k % step == 0]
    if kept[-1] != len(series.samples) - 1:
        kept.append(len(series.samples) - 1)
    warm = sum(k < series.warm_up for k in kept)
    return [series.samples[k] for k in kept], warm


def _fit(judged: Sequence[Point], finding: Finding) -> _FittedLine | None:
    """The line of the finding's rate through the part that it was taken from, and its band.

    The band turns around the middle of that part: there the level is known best.
    """
    if finding.rate is None or len(judged) < 3:
        return None
    part = _part_with(finding.rate, judged)
    first, last = part[0][0], part[-1][0]
    middle = (first + last) / 2
    level = median(value - finding.rate * (n - middle) for n, value in part)
    ends = (first, last)

    def line(rate: float) -> list[float]:
        return [level + rate * (n - middle) for n in ends]

    name = f"fitted: {format_rate(finding.rate, finding.unit)}"
    fitted: ChartLine = {"name": name, "x": list(ends), "y": line(finding.rate)}
    if finding.interval is None:
        return _FittedLine(fitted, None)
    slow, fast = line(finding.interval[0]), line(finding.interval[1])
    band: ChartBand = {
        "x": [first, middle, last],
        "low": [min(slow[0], fast[0]), level, min(slow[1], fast[1])],
        "high": [max(slow[0], fast[0]), level, max(slow[1], fast[1])],
    }
    return _FittedLine(fitted, band)


def _part_with(rate: float, judged: Sequence[Point]) -> Sequence[Point]:
    """The longest of the parts that the verdict looks at whose slope is `rate`; else all."""
    start, length = judged[0][0], judged[-1][0] - judged[0][0]
    for share in RAMP_STARTS:
        part = [point for point in judged if point[0] >= start + share * length]
        if len(part) >= 3 and abs(sen_slope(thin(part)) - rate) <= 1e-6 * abs(rate):
            return part
    return judged


def _allowed(series: Series, judged: Sequence[Point], tolerance: Tolerance) -> ChartLine | None:
    """What the series may reach from its first judged reading before growth is claimed."""
    if len(judged) < 2:
        return None
    limits = resolve_tolerance(series.metric, tolerance)
    first, last = judged[0][0], judged[-1][0]
    steady = limits.min_rate * (last - first)
    level = judged[0][1]
    turn = min(1.0, limits.minimum_growth / steady) if steady else 1.0
    xs = [first, first + turn * (last - first), last]
    top = level + max(limits.minimum_growth, steady)
    name = f"tolerated: {format_value(limits.minimum_growth, series.unit)} in all"
    if limits.min_rate:
        name += f", {format_value(limits.min_rate, series.unit)} per iteration"
    return {"name": name, "x": xs, "y": [level + limits.minimum_growth] * 2 + [top]}


def _level(budget: float | None, first: int, last: int, unit: str) -> ChartLine | None:
    if budget is None:
        return None
    return {
        "name": f"budget: {format_value(budget, unit)}",
        "x": [first, last],
        "y": [budget, budget],
    }


def _range(
    series: Series,
    tolerance: Tolerance | None,
    fit: _FittedLine | None,
    allowed: ChartLine | None,
    budget: float | None,
) -> tuple[float, float]:
    """Low and high end of the chart: noise too small to matter never fills it."""
    all_values = [value for _, value in series.samples if value is not None]
    values = [value for _, value in series.judged()] or all_values
    if fit is not None:
        values = [*values, *fit.line["y"]]
    least = 4.0 if tolerance is None else resolve_tolerance(series.metric, tolerance).minimum_growth
    if series.unit == "bytes" and tolerance is None:
        least = 1024.0**2
    low, high = min(values), max(values)
    room = _ROOM * max(high - low, least)
    extra = [*all_values, *(allowed["y"] if allowed is not None else ())]
    if fit is not None and fit.band is not None:
        extra += [*fit.band["low"], *fit.band["high"]]
    for value in extra:
        if max(high, value) - min(low, value) <= room:
            low, high = min(low, value), max(high, value)
    if budget is not None:
        low, high = min(low, budget), max(high, budget)
    short = max(0.0, least - (high - low))
    low, high = low - short / 2, high + short / 2
    margin = 0.07 * (high - low)
    floor = -margin if min(all_values) >= 0 else low - margin
    return max(low - margin, floor), high + margin


def _unit(low: float, high: float, unit: str) -> tuple[float, str]:
    """The unit of the axis: a smaller one where all the labels would start alike."""
    largest = max(abs(low), abs(high))
    size, name = display_unit(largest, unit)
    if unit == "bytes" and high - low < 0.05 * size:
        size, name = display_unit(size / 1024, unit)
    return size, name


def _scaled(line: ChartLine | None, size: float) -> ChartLine | None:
    return None if line is None else {**line, "y": _divided(line["y"], size)}


def _scaled_band(band: ChartBand | None, size: float) -> ChartBand | None:
    if band is None:
        return None
    low, high = _divided(band["low"], size), _divided(band["high"], size)
    return {"x": band["x"], "low": low, "high": high}


def _divided(values: Sequence[float], size: float) -> list[float]:
    return [_rounded(value / size) for value in values]


def _rounded(value: float) -> float:
    """Digits enough for a chart of any screen."""
    return float(f"{value:.9g}")
