"""What runs of one workload come to: its levels and its growth, each with how far repeats differ.

A level is taken from the series that a run file holds anyway; nothing more is measured for it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leak_suite.errors import ConfigurationError
from leak_suite.places import Place
from leak_suite.result import Cause, Finding, Outcome, RunResult, Series

__all__ = [
    "MEASURES",
    "Growth",
    "Level",
    "Measure",
    "Profile",
    "environment_difference",
    "profile",
]


@dataclass(frozen=True)
class Level:
    """How much there is of something: the mean over `runs`, and the spread between them.

    `spread` is the standard deviation between runs, None where there is one only; `noise` that of
    the readings within a run.
    """

    unit: str
    value: float
    spread: float | None
    noise: float
    runs: int


@dataclass(frozen=True)
class Growth:
    """What the verdicts on one metric came to: `outcome` and `rate` are those of most runs.

    It is inconclusive where only some of the runs, and not most, saw it grow. `detectable_rate` is
    what the least sensitive of the runs that did not see it grow would have seen; `site` is where
    the growth of a run came from.
    """

    unit: str
    outcome: Outcome
    rate: float | None = None
    error: float = 0.0
    detectable_rate: float | None = None
    site: Place | None = None


@dataclass(frozen=True)
class Profile:
    """One workload, as `runs` runs have seen it.

    `undecided` are metrics that some of the runs read, and found too noisy to judge. `unclear` says
    why growth is not known where it is for any other reason. `command` is that of a run.
    """

    subject: str
    environment: Mapping[str, Any]
    runs: int
    levels: Mapping[str, Level]
    growth: Mapping[str, Growth]
    unclear: str = ""
    undecided: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """A level that is compared: the first of `metrics` that a run has, as `read` takes it."""

    name: str
    metrics: tuple[str, ...]
    read: Callable[[Series, bool], tuple[float, ...]]
    description: str


def _first(series: Series, _: bool) -> tuple[float, ...]:
    known = [value for _, value in series.samples if value is not None]
    return tuple(known[:1])


def _usual(series: Series, growing: bool) -> tuple[float, ...]:
    """Readings after warm-up; of a growing run only the first: the others depend on its length."""
    values = tuple(value for _, value in series.judged())
    return values[:1] if growing else values


MEASURES = (
    Measure(
        "footprint",
        ("rss", "rss_anon", "pss"),
        _first,
        "resident memory at the first reading: imports, and the first iteration's first use",
    ),
    Measure("peak", ("peak",), _usual, "highest resident memory in a round, at the median"),
    Measure(
        "allocations",
        ("blocks",),
        _usual,
        "blocks of Python's allocator that are held between rounds, at the median",
    ),
)

_CONFIDENCE = 1.96
_MAD = 1.4826
_SINGLE_SHARE = 0.001
"""Of what is read once a run. Footprints of one service differ by some 0.17% from run to run."""


def profile(runs: Sequence[RunResult]) -> Profile:
    """What these runs of one workload come to; ConfigurationError where they cannot be joined."""
    first, *others = runs
    for other in others:
        if what := environment_difference(first.environment, other.environment):
            raise ConfigurationError(
                f"runs of {first.subject} cannot be joined: they are of different {what}"
            )
    levels = {m.name: level for m in MEASURES if (level := _level(m, runs)) is not None}
    metrics = dict.fromkeys(finding.metric for run in runs for finding in run.findings)
    growth = {metric: found for metric in metrics if (found := _growth(metric, runs)) is not None}
    noisy = [run for run in runs if _is_noisy(run)]
    unjudged = [run for run in runs if run.outcome is Outcome.INCONCLUSIVE and run not in noisy]
    undecided = dict.fromkeys(f.metric for run in noisy for f in _needed(run))
    unclear = ""
    if unjudged:
        unclear = f"{len(unjudged)} of {len(runs)} runs were inconclusive"
        unclear += f": {unjudged[0].reason}" if unjudged[0].reason else ""
    return Profile(
        first.workload,
        first.environment,
        len(runs),
        levels,
        growth,
        unclear,
        tuple(undecided),
        first.details.command,
    )


def _is_noisy(run: RunResult) -> bool:
    """Whether all that a run could not judge is metrics that it read, and that are too noisy."""
    if run.outcome is not Outcome.INCONCLUSIVE or run.reason:
        return False
    needed = _needed(run)
    return bool(needed) and all(f.cause in (Cause.NOISY, Cause.UNSETTLED) for f in needed)


def _needed(run: RunResult) -> list[Finding]:
    return [f for f in run.findings if f.required and f.outcome is Outcome.INCONCLUSIVE]


def _level(measure: Measure, runs: Sequence[RunResult]) -> Level | None:
    """None unless all runs have it: some of them would be another workload's mean."""
    for metric in measure.metrics:
        found = [_values(measure, metric, run) for run in runs]
        if not all(values for _, values in found):
            continue
        middles = [statistics.median(values) for _, values in found]
        return Level(
            unit=found[0][0],
            value=statistics.fmean(middles),
            spread=statistics.stdev(middles) if len(middles) > 1 else None,
            noise=max(_deviation(values) for _, values in found),
            runs=len(middles),
        )
    return None


def _values(measure: Measure, metric: str, run: RunResult) -> tuple[str, tuple[float, ...]]:
    growing = any(f.outcome is Outcome.GROWING for f in run.findings)
    for series in run.series:
        if series.metric == metric:
            return series.unit, measure.read(series, growing)
    return "", ()


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation estimated from the median absolute deviation: robust to single spikes.

    Of a single reading a share of it is assumed.
    """
    if len(values) == 1:
        return _SINGLE_SHARE * abs(values[0])
    middle = statistics.median(values)
    return _MAD * statistics.median(abs(value - middle) for value in values)


def _growth(metric: str, runs: Sequence[RunResult]) -> Growth | None:
    found = [f for run in runs for f in run.findings if f.metric == metric]
    judged = [f for f in found if f.outcome is not Outcome.INCONCLUSIVE]
    if not judged:
        return None
    grown = [f for f in judged if f.outcome is Outcome.GROWING]
    smallest = [f.detectable_rate for f in judged if f.outcome is not Outcome.GROWING]
    known = [rate for rate in smallest if rate is not None]
    detectable = max(known) if known and len(known) == len(smallest) else None
    if not grown:
        return Growth(judged[0].unit, Outcome.STABLE, detectable_rate=detectable)
    if 2 * len(grown) <= len(judged):
        return Growth(judged[0].unit, Outcome.INCONCLUSIVE)
    rates = [f.rate for f in grown if f.rate is not None]
    if not rates:
        return Growth(grown[0].unit, Outcome.GROWING, site=_site(grown))
    between = statistics.stdev(rates) if len(rates) > 1 else 0.0
    error = max([between, *(_error(f) for f in grown)])
    return Growth(grown[0].unit, Outcome.GROWING, statistics.fmean(rates), error, site=_site(grown))


def _site(grown: Sequence[Finding]) -> Place | None:
    """Where growth came from: the first site of the first run that knows one."""
    for finding in grown:
        for site in finding.sites[:1]:
            return site.place if site.file else None
    return None


def _error(finding: Finding) -> float:
    """The standard error of its rate, from the interval that holds it in 95 of 100 runs."""
    if finding.interval is None:
        return 0.0
    low, high = finding.interval
    return (high - low) / (2 * _CONFIDENCE)


_SAME = {
    "platform": "platforms",
    "machine": "machines",
    "implementation": "Pythons",
    "gil": "Pythons",
    "allocator": "allocators",
    "allocator_settings": "allocator settings",
}


def environment_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What forbids to compare runs of these environments, in words; empty if nothing does."""
    for key, name in _SAME.items():
        if one.get(key) != other.get(key):
            return f"{name} ({_format(one.get(key))} and {_format(other.get(key))})"
    versions = [str(env.get("python", "")) for env in (one, other)]
    if versions[0].split(".")[:2] != versions[1].split(".")[:2]:
        return f"Pythons ({' and '.join(version or 'unknown' for version in versions)})"
    return ""


def _format(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{k}={v}" for k, v in sorted(value.items())) or "none set"
    return "unknown" if value is None else str(value)
