"""How much is enough: when a ramp counts as a leak, and when a flat line may be called stable.

No finite series proves a leak: any ramp could be a cache that is still filling. What is asked for
is therefore a policy, kept here in one place and explained in docs/verdicts.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from leak_suite.verdict.shape import Steady
from leak_suite.verdict.tolerance import Scale

__all__ = [
    "MINIMUM_SAMPLES",
    "enough_for_growth",
    "enough_for_stable",
    "is_slow",
    "needed_for_growth",
    "patience_for_noise",
]

MINIMUM_SAMPLES = 5

# (workload seconds spent, iterations over which growth must have gone on from then on).
# Long ramps cost fast workloads nothing; slow workloads seldom fill large caches.
_RAMP: tuple[tuple[float, int], ...] = (
    (0.5, 40_000),
    (1.0, 20_000),
    (8.0, 12_000),
    (15.0, 5_000),
    (19.0, 2_000),
    (23.0, 500),
    (27.0, 50),
    (30.0, 12),
)

# Growth of less than so many floors an iteration, of which the second half lags behind the first,
# must go on for so many times longer.
_SLOW_FLOORS, _STRAIGHT, _BENT_RAMP = 32.0, 0.93, 2

# An iteration this long is a job of its own; growth of a job's size in each of them is no cache.
_SLOW_SECONDS = 0.1
_SLOW_ITERATIONS = 12
_SLOW_COUNTED = 40  # handles and the like: pools of up to this many are common

# The same for calling a series stable: late starts and rare jumps must have had their chance.
_FLAT: tuple[tuple[float, int], ...] = (
    (0.5, 20_000),
    (1.0, 10_000),
    (2.5, 5_000),
    (6.0, 500),
    (10.0, 12),
)

# The same for a series that does not move at all: then no noise can hide a slow beginning.
_STILL: tuple[tuple[float, int], ...] = (
    (0.5, 20_000),
    (1.0, 8_000),
    (2.0, 5_000),
    (4.0, 4_000),
    (6.0, 500),
    (10.0, 12),
)


def _needed(table: Sequence[tuple[float, int]], seconds: float) -> int | None:
    """Iterations needed after `seconds`; None while it is too early whatever their number."""
    if seconds <= 0:  # unknown: only iterations count
        return table[0][1]
    reached = [count for since, count in table if seconds >= since]
    return reached[-1] if reached else None


def needed_for_growth(seconds: float) -> int | None:
    """Iterations over which a ramp must have gone on to count as a leak by its length."""
    return _needed(_RAMP, seconds)


def is_slow(rate: float, scale: Scale) -> bool:
    """Whether growth is so slow that a cache of small things would grow like that for long."""
    return rate < _SLOW_FLOORS * scale.floor


def enough_for_growth(ramp: Steady, scale: Scale, seconds: float, iterations: float) -> bool:
    """Whether a steady ramp has outlasted, or outgrown, any cache that one would expect.

    `iterations` is the length of the whole run, `seconds` the time that it took.
    """
    if ramp.growth >= scale.implausible:
        return True
    if seconds / iterations >= _SLOW_SECONDS and ramp.whole.rate >= scale.job_sized:
        return ramp.length >= (_SLOW_COUNTED if scale.exact else _SLOW_ITERATIONS)
    needed = needed_for_growth(seconds)
    if needed is None:
        return False
    bends = is_slow(ramp.whole.rate, scale) and ramp.second < _STRAIGHT * ramp.first
    return ramp.length >= (_BENT_RAMP * needed if bends else needed)


def enough_for_stable(iterations: float, samples: int, seconds: float, *, still: bool) -> bool:
    """Whether a flat series is long enough to be believed; `still` ones are so sooner."""
    needed = _needed(_STILL if still else _FLAT, seconds)
    return samples >= 8 and needed is not None and iterations >= needed


def patience_for_noise(seconds: float) -> float:
    """How much coarser than wanted the view may be after `seconds`, before more is asked for."""
    if seconds < 6:
        return 1.0
    return 4.0 if seconds < 10 else 32.0
