"""What every renderer says alike: the headline, the order of findings, sites, blind spots."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

from leak_suite.fit.result import FitResult
from leak_suite.metrics import priority
from leak_suite.render.fit import FIT_WORDS
from leak_suite.result import Finding, Outcome, RunResult, Site
from leak_suite.result_file import Result
from leak_suite.units import display_unit, format_number, format_rate, format_value

__all__ = [
    "failure_message",
    "format_growth",
    "format_site",
    "headline",
    "not_observed",
    "outcome_name",
    "sorted_findings",
    "verdict_sentence",
]

_SITES = 3
_FRAMES = 4
_WIDTH = 80
_ORDER = (Outcome.GROWING, Outcome.OVER_BUDGET, Outcome.INCONCLUSIVE, Outcome.STABLE)


def format_growth(finding: Finding) -> str:
    """The growth per iteration with its interval in the same unit: `1.02 KiB [1.01, 1.03]`."""
    if finding.rate is None:
        return "?" if finding.outcome is Outcome.INCONCLUSIVE else ""
    text = format_value(finding.rate, finding.unit)
    if finding.interval is None:
        return text
    size, _ = display_unit(finding.rate, finding.unit)
    low, high = (format_number(end / size) for end in finding.interval)
    return f"{text} [{low}, {high}]"


def format_site(site: Site) -> str:
    """Where a site is: `app.py:12 handler`."""
    return f"{site.file}:{site.line} {site.function}".rstrip()


def sorted_findings(result: RunResult) -> tuple[Finding, ...]:
    """The findings, worst outcome first; of each outcome those with a site, by priority."""

    def key(finding: Finding) -> tuple[int, bool, int]:
        return _ORDER.index(finding.outcome), not finding.sites, priority(finding.metric)

    return tuple(sorted(result.findings, key=key))


def outcome_name(result: Result) -> str:
    """What the run's outcome is called: a service that fits is not called stable."""
    return FIT_WORDS[result.fits] if isinstance(result, FitResult) else result.outcome.value


def verdict_sentence(result: Result) -> str:
    """One sentence that says why the outcome is what it is, and what else the run has to tell."""
    if isinstance(result, FitResult):
        return result.sentence
    found = [finding for finding in sorted_findings(result) if finding.outcome is result.outcome]
    if result.outcome is Outcome.INCONCLUSIVE and result.reason:
        unclear = [f"; {f.metric}: {f.cause_text}" for f in found if f.required and f.cause_text]
        return result.reason + "".join(unclear[:1])
    if not found:
        return result.reason or "nothing was judged"
    return _cause_sentence(found) + (f"; {result.reason}" if result.reason else "")


def _cause_sentence(found: Sequence[Finding]) -> str:
    """What the findings of a run's own outcome come to."""
    first = found[0]
    if first.outcome is Outcome.GROWING:
        speed = format_rate(first.rate, first.unit)
        return f"{first.metric} grows{f' by {speed}' if speed else ''}"
    if first.outcome is Outcome.STABLE:
        return f"none of {len(found)} metrics grows"
    return f"{first.metric}: {first.reason or first.cause_text or first.outcome.value}"


def not_observed(result: RunResult) -> tuple[str, ...]:
    """Sentences on what this run could not have seen."""
    periods: dict[int, list[str]] = {}
    for finding in sorted_findings(result):
        if finding.longest_period is not None:
            periods.setdefault(finding.longest_period, []).append(finding.metric)
    said = [
        f"a jump rarer than 1 in {period:,} iterations, of {', '.join(metrics)}"
        for period, metrics in periods.items()
    ]
    if any(finding.detectable_rate is not None for finding in result.findings):
        said.insert(0, 'growth per iteration below what stands under "seen from"')
    said += [f"{metric}: {why}" for metric, why in result.details.blind.items()]
    if inner := result.details.not_observed:
        said.append(f"what only these tell, which cannot be read here: {', '.join(inner)}")
    return tuple(said)


def headline(result: Result) -> str:
    """The outcome and its reason in one line."""
    return f"{outcome_name(result).upper()}: {verdict_sentence(result)}"


def failure_message(result: Result) -> str:
    """The headline, the reason and the first sites of the worst metric, and what else there is."""
    lines = [headline(result)]
    if isinstance(result, FitResult):
        return lines[0]
    found = [f for f in sorted_findings(result) if f.outcome is not Outcome.STABLE]
    if not found:
        return lines[0]
    first, *others = found
    lines += _site_block(first)
    if first.reason and first.reason not in lines[0]:
        lines += textwrap.wrap(first.reason, _WIDTH)
    for other in others:
        if other.outcome is Outcome.INCONCLUSIVE and first.outcome is not Outcome.INCONCLUSIVE:
            break  # it grows: what else could not be told is no matter here
        speed = format_rate(other.rate, other.unit)
        lines.append(f"{other.outcome.value}: {other.metric}  {speed}".rstrip())
        if other.sites and (not first.sites or _first_site(other) != _first_site(first)):
            lines += _site_block(replace(other, sites=other.sites[:1]))
    return "\n".join(lines)


def _first_site(finding: Finding) -> str:
    return format_site(finding.sites[0])


def _site_block(finding: Finding) -> list[str]:
    lines = []
    for site in finding.sites[:_SITES]:
        speed = format_rate(site.per_iteration, finding.unit)
        lines.append(f"  {format_site(site)}  {speed}".rstrip())
        frames = [frame for frame in site.stack if frame != format_site(site)]
        lines += [f"    {frame}" for frame in (site.note, *frames[:_FRAMES]) if frame]
    return lines
