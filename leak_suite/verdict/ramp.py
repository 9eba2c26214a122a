"""Ramps: where a series grows steadily, told from steps, saw-teeth and drift that fades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from leak_suite.result import Series
from leak_suite.verdict.policy import MINIMUM_SAMPLES, is_slow
from leak_suite.verdict.shape import Rises, Steady, falls, rises, stalls, steady, tooth
from leak_suite.verdict.tolerance import Scale, Tolerance, scale_of
from leak_suite.verdict.trend import Point, Trend, trend

__all__ = ["QUIET", "Look", "look_at", "ramp_in", "still_rises"]

# Normal scores. Looks are taken after every round, so a single look must almost never be wrong.
_GROWS = 4.5
QUIET = 3.0
_TEETH = 2.5  # growth must be this many times higher than what was ever given back
# Slow growth must keep more of its pace, and if it was faster once, go on until the iterations have
# tripled and until it is so many times higher than other growth must be.
_KEPT, _TRIPLED, _REMNANT = 0.8, 3.0, 4.0
_SUFFIXES = (0.0, 0.25, 0.5)


@dataclass(frozen=True)
class Look:
    """What is needed to judge one series: its points, scale and how long the run has been."""

    series: Series
    points: tuple[Point, ...]
    scale: Scale
    seconds: float
    final: bool

    @property
    def length(self) -> float:
        """Iterations between the first and the last judged reading."""
        return self.points[-1][0] - self.points[0][0] if self.points else 0.0


def look_at(series: Series, tolerance: Tolerance, *, final: bool, seconds: float) -> Look:
    """Prepare a series for judging."""
    points = tuple((float(n), float(value)) for n, value in series.judged())
    return Look(series, points, scale_of(series.metric, tolerance), seconds, final)


def ramp_in(look: Look) -> Steady | None:
    """The longest last part of the series over which it grows steadily, if there is one.

    A part that gets steeper holds what came before the growth; then a shorter one is preferred.
    """
    start, found = look.points[0][0], None
    for fraction in _SUFFIXES:
        part = tuple(p for p in look.points if p[0] >= start + fraction * look.length)
        if _outgrown(look, part):
            return _straight(part)
        if len(part) <= MINIMUM_SAMPLES:
            break
        ramp = steady(part)
        if _is_ramp(look, part, ramp) and not (fraction and _slows_into(look, ramp)):
            found = ramp
            if ramp.second <= 1.3 * ramp.first:
                break
    return found


def still_rises(look: Look) -> bool:
    """Whether the series rose, and rises at its end: growth, however uneven."""
    points = look.points
    if (
        len(points) < 2 * MINIMUM_SAMPLES
        or points[-1][1] - points[0][1] < look.scale.minimum_growth
    ):
        return False
    half = (points[0][0] + points[-1][0]) / 2
    late = [p for p in points if p[0] >= half]
    line = trend(points)
    if len(late) < MINIMUM_SAMPLES or line.z < _GROWS or stalls(points, line.rate):
        return False
    return trend(late).z >= QUIET and tooth(points) < 0.25 * line.rate * look.length


def _slows_into(look: Look, ramp: Steady) -> bool:
    """Whether the series grew faster before the ramp, and slows down within it still.

    What fills at random by ever rarer keys grows with the logarithm of the iterations: half as fast
    each time that they double. Over a ramp of that length a slow one of those looks straight.
    """
    (begin, low), (start, high) = look.points[0], ramp.points[0]
    if (high - low) / (start - begin) <= 1.15 * ramp.whole.rate:
        return False
    if is_slow(ramp.whole.rate, look.scale) and (
        ramp.points[-1][0] < _TRIPLED * start or ramp.growth < _REMNANT * look.scale.minimum_growth
    ):
        return True
    return ramp.second < 0.95 * ramp.first


def _is_ramp(look: Look, part: Sequence[Point], ramp: Steady) -> bool:
    scale = look.scale
    net = part[-1][1] - part[0][1]
    if min(ramp.growth, net) < scale.minimum_growth or ramp.growth < scale.floor * ramp.length:
        return False
    steps = rises(part, scale.quantum)
    if steps.late < 2 or steps.count - steps.late < 2 or steps.tail > 1.5 * steps.longest_gap:
        return False
    if is_slow(ramp.whole.rate, look.scale) and ramp.second < _KEPT * ramp.first:
        return False
    if ramp.decays or stalls(ramp.points, ramp.whole.rate) or net < _TEETH * tooth(look.points):
        return False
    return ramp.whole.z >= _GROWS or _is_staircase(look, part, steps)


def _is_staircase(look: Look, part: Sequence[Point], steps: Rises) -> bool:
    """Rises that recur and are kept, on otherwise quiet ground."""
    net = part[-1][1] - part[0][1]
    if falls(part) > 0.05 * net:
        return False
    quiet = sum(b[1] - a[1] <= look.scale.quantum for a, b in pairwise(part))
    if look.scale.exact:
        return steps.count >= 4
    return steps.count >= 12 or (steps.count >= 5 and 2 * quiet >= len(part) - 1)


def _outgrown(look: Look, part: Sequence[Point]) -> bool:
    """Growth so large that few readings are enough: every step up, the last one as steep."""
    net = part[-1][1] - part[0][1]
    if len(part) < (2 if look.final else 4) or net < 3 * look.scale.implausible:
        return False
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(part)]
    return min(slopes) > 0 and slopes[-1] >= 0.7 * net / (part[-1][0] - part[0][0])


def _straight(part: Sequence[Point]) -> Steady:
    if len(part) > MINIMUM_SAMPLES:
        return steady(part)
    rate = (part[-1][1] - part[0][1]) / (part[-1][0] - part[0][0])
    return Steady(tuple(part), Trend(rate, 0.1 * rate, 0.0, _GROWS), rate, rate, decays=False)
