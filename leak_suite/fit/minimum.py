"""The smallest limit that passes, by bisection; pure but for what `passes` does."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["smallest_passing"]

_MOST_TRIALS = 16


def smallest_passing(
    passes: Callable[[int], bool],
    *,
    low: int,
    high: int,
    tolerance: int,
    high_passes: bool | None = None,
    highest: int,
) -> int | None:
    """A limit that passes, at most `tolerance` above one that does not; None if none does.

    `low` is expected to fail and `high` to pass. Where they do not, the search moves on: down to
    `tolerance`, up to `highest`.
    """
    high = max(high, low + tolerance)
    best: int | None = None
    for _ in range(_MOST_TRIALS):
        good = passes(high) if high_passes is None else high_passes
        high_passes = None
        if good:
            best = high
            break
        if high >= highest:
            return None
        low, high = high, min(highest, high + max(high // 4, tolerance))
    if best is None:
        return None
    step = best - low
    while low > 0 and passes(low):
        best, low = low, max(0, low - step)
    while best - low > tolerance:
        middle = (best + low) // 2
        if passes(middle):
            best = middle
        else:
            low = middle
    return best
