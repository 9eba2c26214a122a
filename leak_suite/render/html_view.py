"""The data of an HTML page, ready for the templates: strings, rows and links."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

from leak_suite.checks.allowed import tolerance
from leak_suite.clauses import Part
from leak_suite.fit.result import FitResult
from leak_suite.metrics import Metric, metric_named
from leak_suite.render.fit import fit_facts
from leak_suite.render.html_charts import ChartData, chart, thinned
from leak_suite.render.summary import (
    OUTPUT_TITLE,
    agents_sentence,
    bytes_only,
    callers,
    failed_steps,
    format_growth,
    format_min_detectable,
    format_site_growth,
    format_site_note,
    grouped_by_cause,
    not_observed,
    notes,
    outcome_name,
    sorted_findings,
    verdict_sentence,
)
from leak_suite.result import Finding, Outcome, Row, RunResult, SelfCheck, Series, Site
from leak_suite.result_file import Result
from leak_suite.units import format_value, unit_for

__all__ = ["MetricView", "RunView", "SiteView", "build_view"]

_KINDS = 12  # kinds of things left over that are listed


@dataclass(frozen=True)
class SiteView:
    """One place that growth came from."""

    place: str
    function: str
    speed: str
    note: str
    stack: tuple[str, ...]


@dataclass(frozen=True)
class MetricView:
    """One metric: what was found, and all that is known about it."""

    id: str
    name: str
    unit: str
    finding: Finding | None
    series: Series | None
    about: Metric | None
    chart: ChartData | None
    evidence: tuple[tuple[str, int], ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The finding's outcome; a metric that is only recorded did nothing wrong."""
        return Outcome.STABLE if self.finding is None else self.finding.outcome

    @property
    def reason(self) -> str:
        """The sentence of the verdict on this metric."""
        if self.finding is None:
            return "Recorded, and not judged by itself."
        return self.finding.reason_of(Part.VERDICT)

    @property
    def short_reason(self) -> str:
        """The reason without the metric's name, to stand behind it."""
        return self.reason if self.finding is None else self._reason_of(Part.VERDICT)

    def _reason_of(self, part: Part) -> str:
        return "" if self.finding is None else self.finding.reason_of(part, named=False)

    @property
    def how(self) -> str:
        """How its places were found, if they were looked for."""
        return self._reason_of(Part.SITES)

    @property
    def cause(self) -> str:
        """A named cause; the words of an inconclusive finding stand in its reason."""
        return "" if self.finding is None else self.finding.cause_text

    @property
    def rate(self) -> str:
        """Growth per iteration, with its interval where it matters."""
        if self.finding is None:
            return ""
        return format_growth(replace(self.finding, unit=bytes_only(self.unit)))

    @property
    def rate_unit(self) -> str:
        """What stands behind the rate."""
        if self.unit == "bytes" or self.finding is None:
            return "per iteration"
        return f"{unit_for(self.short_rate, self.unit)} per iteration"

    @property
    def short_rate(self) -> str:
        """Growth per iteration alone, for a table whose rows name the unit."""
        if self.finding is None or self.finding.rate is None:
            return self.rate
        return format_value(self.finding.rate, bytes_only(self.unit))

    @property
    def min_detectable(self) -> str:
        """The smallest growth per iteration that would have been seen."""
        return "" if self.finding is None else format_min_detectable(self.finding)

    @property
    def period(self) -> str:
        """The rarest jump that would have been seen, in iterations."""
        period = None if self.finding is None else self.finding.longest_period
        return "" if period is None else f"{period:,}"

    @property
    def peak(self) -> str:
        """The highest reading."""
        peak = None if self.finding is None else self.finding.peak
        if peak is None and self.series is not None:
            peak = max((v for _, v in self.series.samples if v is not None), default=None)
        return "" if peak is None else format_value(peak, bytes_only(self.unit))

    @property
    def sites(self) -> tuple[SiteView, ...]:
        """Where it comes from, the largest share first."""
        return tuple(_site(site, self.unit) for site in self.finding.sites) if self.finding else ()

    @property
    def evidence_total(self) -> str:
        """How many things were there at the end."""
        return f"{sum(count for _, count in self.evidence):,}"

    @property
    def taken(self) -> int:
        """How many readings there were; of very many the table shows only some."""
        return len(self.series.samples) if self.series is not None else 0

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """The readings for the table: iterations, value, and when it was taken."""
        if self.series is None or not self.series.samples:
            return ()
        samples, warm = thinned(self.series)
        return tuple(
            (
                f"{n:,}",
                "unknown" if value is None else f"{value:,.10g}",
                "warm-up" if k < warm else "judged",
            )
            for k, (n, value) in enumerate(samples)
        )


@dataclass(frozen=True)
class RunView:
    """One run of a page."""

    id: str
    result: Result
    word: str
    why: str
    metrics: tuple[MetricView, ...]
    not_observed: tuple[str, ...]
    notes: tuple[str, ...]
    pages: tuple[tuple[str, str], ...]
    command: str
    failed_steps: tuple[str, ...]
    output: str
    facts: tuple[tuple[str, str], ...]

    @property
    def output_title(self) -> str:
        """What stands over the subject's output."""
        return OUTPUT_TITLE

    @property
    def unstable(self) -> tuple[MetricView, ...]:
        """The first metric of each cause of what is not stable, worst first: shown open."""
        return tuple(group[0] for group in self._causes())

    @property
    def same_cause(self) -> tuple[MetricView, ...]:
        """The other metrics that are not stable: one line each, which can be opened."""
        return tuple(metric for group in self._causes() for metric in group[1:])

    def _causes(self) -> list[list[MetricView]]:
        views = {m.name: m for m in self.metrics if m.outcome is not Outcome.STABLE}
        findings = [m.finding for m in views.values() if m.finding is not None]
        return [[views[one.metric] for one in group] for group in grouped_by_cause(findings)]

    @property
    def stable(self) -> tuple[MetricView, ...]:
        """The others: a line each, that can be opened."""
        return tuple(m for m in self.metrics if m.outcome is Outcome.STABLE)


def build_view(result: Result, number: int) -> RunView:
    """What the page says of `result`, the run of that number on it."""
    name = f"run{number}"
    if isinstance(result, FitResult):
        return _fit_view(result, name)
    return RunView(
        id=name,
        result=result,
        word=outcome_name(result),
        why=verdict_sentence(result),
        metrics=_metrics(result, name),
        not_observed=not_observed(result),
        notes=notes(result),
        pages=_pages(result.details.flamegraphs),
        command=shlex.join(result.details.command),
        failed_steps=failed_steps(result),
        output=result.details.subject_output,
        facts=tuple(_facts(result)),
    )


def _fit_view(result: FitResult, name: str) -> RunView:
    """A fit: the memory of the service as charts, and its facts."""
    metrics = (
        MetricView(
            f"{name}-m{number}", one.metric, one.unit, None, one, None, chart(one, None, None, None)
        )
        for number, one in enumerate(result.series, 1)
    )
    facts = [(_name(key), _value(value)) for key, value in result.environment.items()]
    return RunView(
        id=name,
        result=result,
        word=outcome_name(result),
        why=verdict_sentence(result),
        metrics=tuple(metrics),
        not_observed=(),
        notes=(),
        pages=(),
        command=shlex.join(result.command),
        failed_steps=(),
        output="",
        facts=(*facts, *fit_facts(result)),
    )


def _metrics(result: RunResult, run: str) -> tuple[MetricView, ...]:
    findings = {finding.metric: finding for finding in sorted_findings(result)}
    series: dict[str, Series] = {}
    for one in result.series:  # of several groups the one that the finding is of
        wanted = findings[one.metric].process if one.metric in findings else ""
        if one.metric not in series or one.process == wanted:
            series[one.metric] = one
    rates, budgets = result.details.tolerances, result.details.budgets
    views = []
    for number, metric in enumerate((*findings, *(m for m in series if m not in findings)), 1):
        found, finding = series.get(metric), findings.get(metric)
        about = _metric(metric)
        drawn = None
        if found is not None:
            # The peak has no tolerance, only budgets.
            judged = about is not None and metric != "peak"
            allowed = tolerance(metric, rates.get(metric)) if judged else None
            drawn = chart(found, finding, allowed, budgets.get(metric))
        unit = found.unit if found is not None else findings[metric].unit
        evidence = _evidence(result.details.evidence, metric)
        views.append(
            MetricView(f"{run}-m{number}", metric, unit, finding, found, about, drawn, evidence)
        )
    return tuple(views)


def _metric(metric: str) -> Metric | None:
    try:
        return metric_named(metric)
    except KeyError:
        return None


def _site(site: Site, unit: str) -> SiteView:
    return SiteView(
        place=f"{site.file}:{site.line}" if site.file else "",
        function=site.function,
        speed=format_site_growth(site, unit),
        note=format_site_note(site),
        stack=tuple(map(str, callers(site))),
    )


def _evidence(evidence: Mapping[str, Sequence[Row]], metric: str) -> tuple[tuple[str, int], ...]:
    """What was open or alive at the end, alike things counted together, most of them first."""
    known = _metric(metric)
    if known is None or not known.lists_things:
        return ()
    kinds = Counter(_kind(row) for row in evidence.get(metric) or ())
    return tuple(kinds.most_common(_KINDS))


def _kind(row: Row) -> str:
    words = [str(part) for part in row if not isinstance(part, (int, float)) and part]
    return " · ".join(dict.fromkeys(words)) or str(row)


def _pages(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Titles and links of pages beside this one; nothing that leads off the machine."""
    pairs = given.items()
    return tuple((title, quote(path, safe="/.-_~")) for title, path in pairs if _is_local(path))


def _is_local(path: str) -> bool:
    parts = urlsplit(path)
    return not parts.scheme and not parts.netloc


def _facts(result: RunResult) -> list[tuple[str, str]]:
    """Environment and measuring, as names and values."""
    facts = [(_name(name), _value(value)) for name, value in result.environment.items()]
    details = result.details
    measured = (
        ("warm-up", _iterations(details.warm_up_iterations)),
        ("rounds", details.rounds or ""),
        ("stopped by", details.stopped),
        ("time spent reading", _seconds(details.overhead_seconds)),
        ("self-check", _self_check(details.self_check)),
        ("iteration", details.iteration),
        ("agents", agents_sentence(result)),
        ("run file", f"schema version {result.schema_version}"),
    )
    return facts + [(name, str(value)) for name, value in measured if value not in (None, "")]


def _name(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={v}" for k, v in value.items()) or "none set"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if value in (True, False) else str(value)
    )


def _iterations(count: int) -> str:
    return f"{count:,} iterations" if count else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} s"


def _self_check(checks: Mapping[str, SelfCheck]) -> str:
    """Whether the probes saw what was planted before the run."""
    if not checks:
        return ""
    blind = [name for name, check in checks.items() if check.problem]
    seen = f"{len(checks) - len(blind)} of {len(checks)} probes saw what was planted"
    return seen + (f"; not {', '.join(blind)}" if blind else "")
