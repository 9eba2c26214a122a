"""Judging one series: growing, stable, or not to be told yet."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.units import format_number, format_rate, format_value
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
        return _growing(look, ramp, "" if enough else _UNPROVEN) if enough or final else None
    return _flat(look)


def follow(look: Look, leader: str) -> Finding | None:
    """The finding of a metric that grows steadily in a run whose `leader` is known to leak."""
    ramp = ramp_in(look) if look.length > 0 else None
    return None if ramp is None else _growing(look, ramp, f", along with {leader}")


_UNPROVEN = (
    "; the time was up: a cache of more than {length} entries that was still filling would look "
    "the same"
)


def _growing(look: Look, ramp: Steady, remark: str) -> Finding:
    unit, rate = look.series.unit, ramp.whole.rate
    if rate <= 0:
        rate = (ramp.points[-1][1] - ramp.points[0][1]) / ramp.length
    reason = (
        f"{look.series.metric} grew by {format_rate(rate, unit)}, "
        f"{format_value(rate * ramp.length, unit)} over the last {format_number(ramp.length)} "
        "iterations, and did not slow down"
    )
    if ramp.length < 0.9 * look.length:
        reason += f" (it was different in the {format_number(look.length - ramp.length)} before)"
    reason += remark.format(length=format_number(ramp.length))
    return _finding(look, Outcome.GROWING, Cause.LEAK, reason + ".", ramp.whole, rate=rate)


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
        return _stable(look, Cause.CYCLE, line, steps)
    if _at_rest(look, line, steps):
        return _stable(look, _cause_of(look, line, steps), line, steps)
    share = 0.5 if final else 0.25
    fading = not look.scale.exact and len(points) >= 10
    if fading and fades(points, _noise(look) / 2, share):
        return _stable(look, _FADES, line, steps)
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


def _cause_of(look: Look, line: Trend, steps: Rises) -> str:
    points, quantum = look.points, look.scale.quantum
    if _beneath(look, line) and line.z >= QUIET:
        return _SMALL
    if steps.count == 0 or max(v for _, v in points) - points[0][1] <= 8 * quantum:
        return Cause.NONE
    if tooth(points) > 0.6 * (max(v for _, v in points) - min(v for _, v in points)):
        return Cause.CYCLE
    if steps.tail < min(steps.longest_gap, 0.25 * look.length):
        return _LITTLE
    early = steps.last <= points[0][0] + 0.15 * look.length
    return Cause.FIRST_USE if early and steps.count <= 3 else Cause.PLATEAU


# Shapes that are told in words of their own; the finding's cause is one of the named ones.
_FADES, _SMALL, _LITTLE = "fades", "small", "little"
_STABLE_WORDS = {
    _FADES: "rose by {rise} over {n} iterations, ever more slowly: it nears a bound",
    _LITTLE: "moved by no more than {rise} over {n} iterations, too little to matter",
    _SMALL: "moves by {rate}, less than the {floor} that matter, over {n} iterations",
    Cause.NONE: "stayed at {level} over {n} iterations",
    Cause.PLATEAU: "rose by {rise} and levelled off at {level}: the last {tail} of {n} iterations "
    "added nothing that lasts",
    Cause.FIRST_USE: "rose by {rise} at first use and has been level for {tail} of {n} iterations",
    Cause.CYCLE: "goes up and comes down between {low} and {high}; over {n} iterations the bounds "
    "stayed",
}


def _stable(look: Look, cause: str, line: Trend, steps: Rises) -> Finding:
    values, unit = [v for _, v in look.points], look.series.unit
    words = _STABLE_WORDS[cause].format(
        level=format_value(values[-1], unit),
        rise=format_value(max(values) - values[0], unit),
        tail=format_number(steps.tail),
        n=format_number(look.length),
        low=format_value(min(values), unit),
        high=format_value(max(values), unit),
        rate=format_rate(line.rate, unit),
        floor=format_number(look.scale.floor),
    )
    reason = f"{look.series.metric} {words}."
    cause = {_FADES: Cause.PLATEAU, _SMALL: Cause.NONE, _LITTLE: Cause.NONE}.get(cause, cause)
    return _finding(look, Outcome.STABLE, cause, reason, line)


def _cannot_tell(look: Look, line: Trend) -> Finding:
    unit, name = look.series.unit, look.series.metric
    if line.z >= QUIET:
        why = "it rose, but too unevenly or too briefly to call it growth or to rule it out"
    else:
        seen = format_rate(_detectable(look, line), unit)
        why = f"growth below {seen} would drown in its ups and downs"
    length = format_number(look.length)
    reason = f"{name} cannot be judged after {length} iterations: {why}; run longer."
    cause = "still unsettled" if line.z >= QUIET else "too noisy for the run's length"
    return _finding(look, Outcome.INCONCLUSIVE, cause, reason, line)


def _too_few(look: Look) -> Finding:
    known, name = len(look.points), look.series.metric
    if known == 0 and look.series.samples[look.series.warm_up :]:
        cause, reason = "blind probe", f"{name} could not be read: its probe is blind here."
    else:
        cause = "too few samples"
        reason = (
            f"{name} was read {known} times after warm-up; {MINIMUM_SAMPLES} are needed. "
            "Give the run more time."
        )
    peak = max((v for _, v in look.points), default=None)
    return Finding(name, look.series.unit, Outcome.INCONCLUSIVE, cause, peak=peak, reason=reason)


def _detectable(look: Look, line: Trend) -> float:
    scale = look.scale
    smallest = scale.minimum_growth / look.length
    return max(scale.floor, smallest, _SEEN * line.error if not scale.exact else 0.0)


def _finding(
    look: Look, outcome: Outcome, cause: str, reason: str, line: Trend, rate: float | None = None
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
        reason=reason,
    )
