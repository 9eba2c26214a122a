"""From the watch's readings and the moments of rest to series, the verdict and a run file."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from statistics import median
from typing import Any

from leak_suite.probes import probe_for
from leak_suite.result import Details, Finding, Outcome, RunResult, Series
from leak_suite.verdict import Tolerance, judge_all
from load.ledger import Rest
from load.observe import Observed
from load.plan import Plan

__all__ = ["ENOUGH_RESTS", "idle_and_last", "judge_memory", "series_at_rest"]

KIB, MIB = 1024.0, 1024.0**2
#: Fewer moments of rest than this say nothing about growth.
ENOUGH_RESTS = 8
_WARM_UP = 2
# What one job may leave behind, where a service lives for thousands of them between deploys.
_MEMORY: dict[str, Any] = {"floor": 32 * KIB, "minimum_growth": 6 * MIB, "max_detectable": 2 * MIB}
_COUNTED: dict[str, Any] = {"floor": 0.05}
# Drawn, not judged: pages of shared libraries count for less while others on the machine map them
# too, so that PSS moves by 25 MiB when somebody else's process ends; anonymous pages do not.
_SUPPORTING = frozenset({"rss", "pss", "counter:memory.rss_bytes"})


def series_at_rest(observed: Observed, rests: Sequence[Rest]) -> tuple[Series, ...]:
    """The middle reading of every metric in each moment of rest, over uploads."""
    metrics = sorted({name for _, readings in observed.memory for name in readings})
    warm_up = min(_WARM_UP, max(0, len(rests) - ENOUGH_RESTS + _WARM_UP))
    return tuple(
        Series(name, probe_for(name).unit, tuple(_samples(observed, rests, name)), warm_up)
        for name in metrics
    )


def _samples(
    observed: Observed, rests: Sequence[Rest], metric: str
) -> list[tuple[int, float | None]]:
    samples: list[tuple[int, float | None]] = []
    for rest in rests:
        values = [
            readings[metric]
            for at, readings in observed.memory
            if rest.begin <= at <= rest.end and metric in readings
        ]
        if not samples or rest.uploads > samples[-1][0]:
            samples.append((rest.uploads, median(values) if values else None))
    return samples


def idle_and_last(observed: Observed, rests: Sequence[Rest]) -> tuple[float, float] | None:
    """Memory before the load and in the last moment of rest; None if either is not known."""
    for metric in ("rss_anon", "counter:memory.resting_bytes", "counter:memory.tree_bytes"):
        values = [value for _, value in _samples(observed, rests, metric) if value is not None]
        if len(values) > 1:
            return values[0], values[-1]
    return None


def judge_memory(
    observed: Observed, rests: Sequence[Rest], plan: Plan, seconds: float, details: dict[str, Any]
) -> RunResult:
    """The run file of a load run. Too few moments of rest are inconclusive, and say so."""
    series = series_at_rest(observed, rests)
    judged = [one for one in series if one.metric not in _SUPPORTING]
    tolerances = {one.metric: _tolerance(one) for one in judged}
    verdict = judge_all(judged, tolerances, final=True, seconds=seconds)
    # Metrics that no service is bound to keep level at a moment's notice only inform.
    growing = [f for f in verdict.findings if f.outcome is Outcome.GROWING]
    reason = "; ".join(f.reason for f in growing) or _reason(verdict.findings, len(rests))
    return RunResult(
        subject=f"load {plan.scenario}",
        environment={
            "platform": platform.platform(),
            "python": platform.python_version(),
            "view": "process tree" if plan.is_local else "outside only: /health/memory",
        },
        outcome=verdict.outcome,
        iterations=max((rest.uploads for rest in rests), default=0),
        seconds=round(seconds, 3),
        series=series,
        findings=verdict.findings,
        reason=reason,
        details=Details(extra=details),
    )


def _reason(findings: Sequence[Finding], rests: int) -> str:
    if rests < ENOUGH_RESTS + 1:
        return f"{rests} moments of rest are too few to judge growth: give more --rounds"
    unclear = [f.reason for f in findings if f.required and f.outcome is Outcome.INCONCLUSIVE]
    return "; ".join(unclear)


def _tolerance(series: Series) -> Tolerance:
    if series.unit == "bytes":
        return Tolerance(exact=False, unit=series.unit, **_MEMORY)
    return Tolerance(exact=True, unit=series.unit, **_COUNTED)
