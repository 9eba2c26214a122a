"""From the observer's readings and the idle windows to series, the verdict and a run file."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from statistics import median
from typing import Any

from leak_suite.metrics import metric_named
from leak_suite.result import Details, Finding, Outcome, RunResult, Series
from leak_suite.verdict import Tolerance, judge_all
from load.observer import Observations
from load.plan import LoadPlan
from load.run_log import IdleWindow

__all__ = ["MIN_IDLE_WINDOWS", "first_and_last_idle", "idle_series", "judge_memory"]

KIB, MIB = 1024.0, 1024.0**2
#: Fewer idle windows than this say nothing about growth.
MIN_IDLE_WINDOWS = 8
_WARM_UP = 2
# What one job may leave behind, where a service lives for thousands of them between deploys.
_MEMORY: dict[str, Any] = {
    "min_rate": 32 * KIB,
    "minimum_growth": 6 * MIB,
    "max_detectable": 2 * MIB,
}
_COUNTED: dict[str, Any] = {"min_rate": 0.05}
# Drawn, not judged: pages of shared libraries count for less while others on the machine map them
# too, so that PSS moves by 25 MiB when somebody else's process ends; anonymous pages do not.
_NOT_JUDGED = frozenset({"rss", "pss", "counter:memory.rss_bytes"})


def idle_series(observed: Observations, windows: Sequence[IdleWindow]) -> tuple[Series, ...]:
    """The median reading of every metric in each idle window, over uploads."""
    metrics = sorted({name for _, readings in observed.memory for name in readings})
    warm_up = min(_WARM_UP, max(0, len(windows) - MIN_IDLE_WINDOWS + _WARM_UP))
    return tuple(
        Series(name, metric_named(name).unit, tuple(_samples(observed, windows, name)), warm_up)
        for name in metrics
    )


def _samples(
    observed: Observations, windows: Sequence[IdleWindow], metric: str
) -> list[tuple[int, float | None]]:
    samples: list[tuple[int, float | None]] = []
    for window in windows:
        values = [
            readings[metric]
            for at, readings in observed.memory
            if window.begin <= at <= window.end and metric in readings
        ]
        if not samples or window.uploads > samples[-1][0]:
            samples.append((window.uploads, median(values) if values else None))
    return samples


def first_and_last_idle(
    observed: Observations, windows: Sequence[IdleWindow]
) -> tuple[float, float] | None:
    """Memory before the load and in the last idle window, in bytes; None if either is not known."""
    for metric in ("rss_anon", "counter:memory.resting_bytes", "counter:memory.tree_bytes"):
        values = [value for _, value in _samples(observed, windows, metric) if value is not None]
        if len(values) > 1:
            return values[0], values[-1]
    return None


def judge_memory(
    observed: Observations,
    windows: Sequence[IdleWindow],
    plan: LoadPlan,
    seconds: float,
    details: dict[str, Any],
) -> RunResult:
    """The run file of a load run. Too few idle windows are inconclusive, and say so."""
    series = idle_series(observed, windows)
    judged = [one for one in series if one.metric not in _NOT_JUDGED]
    tolerances = {one.metric: _tolerance(one) for one in judged}
    verdict = judge_all(judged, tolerances, final=True, seconds=seconds)
    # Metrics that no service is bound to keep level at a moment's notice only inform.
    growing = [f for f in verdict.findings if f.outcome is Outcome.GROWING]
    reason = "; ".join(f.reason for f in growing) or _reason(verdict.findings, len(windows))
    return RunResult(
        subject=f"load {plan.scenario}",
        environment={
            "platform": platform.platform(),
            "python": platform.python_version(),
            "view": "process tree" if plan.is_local else "outside only: /health/memory",
        },
        outcome=verdict.outcome,
        iterations=max((window.uploads for window in windows), default=0),
        seconds=round(seconds, 3),
        series=series,
        findings=verdict.findings,
        reason=reason,
        details=Details(extra=details),
    )


def _reason(findings: Sequence[Finding], windows: int) -> str:
    if windows < MIN_IDLE_WINDOWS + 1:
        return f"{windows} idle windows are too few to judge growth: give more --rounds"
    unclear = [f.reason for f in findings if f.required and f.outcome is Outcome.INCONCLUSIVE]
    return "; ".join(unclear)


def _tolerance(series: Series) -> Tolerance:
    if series.unit == "bytes":
        return Tolerance(exact=False, unit=series.unit, **_MEMORY)
    return Tolerance(exact=True, unit=series.unit, **_COUNTED)
