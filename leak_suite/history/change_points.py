"""Where a series of figures changes its level: optimal partitioning around medians. Pure."""

from __future__ import annotations

import math
import statistics
from bisect import insort
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["SHORTEST", "change_points"]

SHORTEST = 3
"""Figures that a level needs: a change is shown once two more commits confirm it."""
_PENALTY = 6.0
"""Of a cut, in units of ln(n). By 6, 2 of 300 flat histories of 30 commits with normal noise are
cut and all steps of 6 deviations found; by 2, as in the criterion of Schwarz, a third is cut."""
_SCALE = 0.836
"""Median distance of neighbours to mean distance from the middle, for normal noise."""


def change_points(values: Sequence[float], smallest: float) -> tuple[int, ...]:
    """The indexes of `values` at which another level begins.

    The series is cut so that the distances of its values from the median of their level, in units
    of the noise, and a penalty for each cut are least together (optimal partitioning: Jackson and
    others, IEEE Signal Processing Letters 12, 2005; the cost is that of Laplace noise, which a
    single outlier does not move). The noise is the median distance of neighbours, which steps do
    not enlarge. Levels that differ by less than `smallest` are one level.
    """
    steps = [abs(after - before) for before, after in pairwise(values)]
    if len(values) < 2 * SHORTEST:
        return ()
    noise = max(_SCALE * statistics.median(steps), smallest / 4) or math.ulp(1.0)
    cuts = _partition(values, noise, _PENALTY * math.log(len(values)))
    return _distinct(values, cuts, smallest)


def _partition(values: Sequence[float], noise: float, penalty: float) -> list[int]:
    """The cuts of the cheapest partition, first to last."""
    count = len(values)
    best = [0.0] + [math.inf] * count
    begins = [0] * (count + 1)
    for start in range(count):
        if math.isinf(best[start]):
            continue
        ordered: list[float] = []
        for end in range(start + 1, count + 1):
            insort(ordered, values[end - 1])
            if end - start < SHORTEST:
                continue
            middle = ordered[len(ordered) // 2]
            cost = 2 * sum(abs(value - middle) for value in ordered) / noise
            total = best[start] + cost + (penalty if start else 0.0)
            if total < best[end]:
                best[end], begins[end] = total, start
    cuts, end = [], count
    while begins[end]:
        end = begins[end]
        cuts.append(end)
    return cuts[::-1]


def _distinct(values: Sequence[float], cuts: list[int], smallest: float) -> tuple[int, ...]:
    """The cuts without those between levels that are too near, the nearest first."""
    while cuts:
        ends = [0, *cuts, len(values)]
        middles = [statistics.median(values[a:b]) for a, b in pairwise(ends)]
        gaps = [abs(after - before) for before, after in pairwise(middles)]
        if min(gaps) >= smallest:
            break
        del cuts[gaps.index(min(gaps))]
    return tuple(cuts)
