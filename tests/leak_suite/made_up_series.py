"""Made-up series, judged after every round as a runner would do it."""

from __future__ import annotations

import random
from collections.abc import Callable

from leak_suite.result import Finding, Series
from leak_suite.verdict import Tolerance, judge

__all__ = ["BLOCKS", "BYTES", "COUNT", "KIB", "MIB", "Value", "noise", "run"]

BYTES = Tolerance(exact=False, unit="bytes", min_rate=2.0)
BLOCKS = Tolerance(exact=False, unit="blocks", min_rate=0.02)
COUNT = Tolerance(exact=True, unit="descriptors")
MIB = 2.0**20
KIB = 1024.0

Value = Callable[[int], float]


def run(
    value: Value,
    tolerance: Tolerance = BYTES,
    *,
    metric: str = "",
    milliseconds: float = 0.05,
    budget: float = 30.0,
) -> tuple[Finding, float]:
    """Judge after every round of 60 ms, or of one iteration, as a runner would."""
    metric = metric or ("fds" if tolerance.exact else "heap")
    count = max(1, int(60 / milliseconds))
    samples: list[tuple[int, float | None]] = [(0, value(0))]
    while True:
        n = samples[-1][0] + count
        samples.append((n, value(n)))
        seconds = n * milliseconds / 1000
        series = Series(metric, tolerance.unit, tuple(samples))
        finding = judge(series, tolerance, final=seconds >= budget, seconds=seconds)
        if finding is not None:
            return finding, seconds


def noise(deviation: float, seed: int = 1) -> Value:
    source = random.Random(seed)
    return lambda _: source.gauss(0, deviation)
