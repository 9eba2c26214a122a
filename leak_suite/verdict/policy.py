"""How much is enough: when a ramp counts as a leak, and when a level series may be called stable.

No finite series proves a leak: any ramp could be a cache that is still filling. What is asked for
is therefore a policy, explained in docs/verdicts.md; its numbers are in `thresholds`.
"""

from __future__ import annotations

from collections.abc import Sequence

from leak_suite.verdict import thresholds
from leak_suite.verdict.shape import Ramp
from leak_suite.verdict.tolerance import ResolvedTolerance

__all__ = [
    "enough_for_growth",
    "enough_for_stable",
    "is_slow",
    "needed_for_growth",
    "noise_allowance",
]


def _needed(table: Sequence[tuple[float, int]], seconds: float) -> int | None:
    """Iterations needed after `seconds`; None while it is too early whatever their number."""
    if seconds <= 0:  # unknown: only iterations count
        return table[0][1]
    reached = [count for since, count in table if seconds >= since]
    return reached[-1] if reached else None


def needed_for_growth(seconds: float) -> int | None:
    """Iterations over which a ramp must have gone on to count as a leak by its length."""
    return _needed(thresholds.RAMP_LENGTHS, seconds)


def is_slow(rate: float, tolerance: ResolvedTolerance) -> bool:
    """Whether growth is so slow that a cache of small things would grow like that for long."""
    return rate < thresholds.SLOW_RATES * tolerance.min_rate


def enough_for_growth(
    ramp: Ramp, tolerance: ResolvedTolerance, seconds: float, iterations: float
) -> bool:
    """Whether a steady ramp has outlasted, or outgrown, any cache that one would expect.

    `iterations` is the length of the whole run, `seconds` the time that it took.
    """
    if ramp.growth >= tolerance.implausible:
        return True
    if seconds / iterations >= thresholds.JOB_SECONDS and ramp.whole.rate >= tolerance.job_sized:
        exact = tolerance.exact
        needed = thresholds.JOB_ITERATIONS_EXACT if exact else thresholds.JOB_ITERATIONS
        return ramp.length >= needed
    length = needed_for_growth(seconds)
    if length is None:
        return False
    slow = is_slow(ramp.whole.rate, tolerance)
    bends = slow and ramp.second < thresholds.BENT_PACE * ramp.first
    return ramp.length >= (thresholds.BENT_LENGTH * length if bends else length)


def enough_for_stable(iterations: float, samples: int, seconds: float, *, still: bool) -> bool:
    """Whether a level series is long enough to be believed; `still` ones are so sooner."""
    table = thresholds.STILL_LENGTHS if still else thresholds.LEVEL_LENGTHS
    needed = _needed(table, seconds)
    return samples >= thresholds.LEVEL_SAMPLES and needed is not None and iterations >= needed


def noise_allowance(seconds: float) -> float:
    """How much coarser than wanted the view may be after `seconds`, before more is asked for."""
    return next(f for since, f in reversed(thresholds.NOISE_ALLOWANCES) if seconds >= since)
