"""How numbers, findings and frames are said, the same in every form."""

from __future__ import annotations

from collections.abc import Sequence

from leak_suite.fit.result import FitResult
from leak_suite.render.fit import FIT_WORDS
from leak_suite.result import Finding, Outcome, RunResult, Site
from leak_suite.result_file import Result
from leak_suite.units import display_unit, format_number, format_rate, format_value

__all__ = [
    "in_order",
    "outcome_word",
    "rate",
    "site_line",
    "unseen",
    "verdict",
]

# What says most about a leak first: a thing that can be counted, then memory by how near it is.
_TELLING = (
    "tracked counter fds threads python_threads tasks children temp_files temp_bytes garbage "
    "heap blocks gc_objects rss rss_anon pss peak"
)
_ORDER = (Outcome.GROWING, Outcome.OVER_BUDGET, Outcome.INCONCLUSIVE, Outcome.STABLE)


def rate(finding: Finding) -> str:
    """The growth per iteration with its interval in the same unit: `1.02 KiB [1.01, 1.03]`."""
    if finding.rate is None:
        return "?" if finding.outcome is Outcome.INCONCLUSIVE else ""
    text = format_value(finding.rate, finding.unit)
    if finding.interval is None:
        return text
    size, _ = display_unit(finding.rate, finding.unit)
    low, high = (format_number(end / size) for end in finding.interval)
    return f"{text} [{low}, {high}]"


def site_line(site: Site) -> str:
    """Where a site is: `app.py:12 handler`."""
    return f"{site.file}:{site.line} {site.function}".rstrip()


def in_order(result: RunResult) -> tuple[Finding, ...]:
    """The findings, worst outcome first, and in each the most telling metric."""
    telling = _TELLING.split()

    def place(finding: Finding) -> tuple[int, int]:
        family = finding.metric.partition(":")[0]
        rank = telling.index(family) if family in telling else len(telling)
        return _ORDER.index(finding.outcome), rank

    return tuple(sorted(result.findings, key=place))


def outcome_word(result: Result) -> str:
    """What the run's outcome is called: a service that fits is not called stable."""
    return FIT_WORDS[result.fits] if isinstance(result, FitResult) else result.outcome.value


def verdict(result: Result) -> str:
    """One sentence that says why the outcome is what it is, and what else the run has to tell."""
    if isinstance(result, FitResult):
        return result.sentence
    found = [finding for finding in in_order(result) if finding.outcome is result.outcome]
    if result.outcome is Outcome.INCONCLUSIVE and result.reason:
        unclear = [f"; {f.metric}: {f.cause_text}" for f in found if f.required and f.cause_text]
        return result.reason + "".join(unclear[:1])
    if not found:
        return result.reason or "nothing was judged"
    return _said(found) + (f"; {result.reason}" if result.reason else "")


def _said(found: Sequence[Finding]) -> str:
    """What the findings of a run's own outcome come to."""
    first = found[0]
    if first.outcome is Outcome.GROWING:
        speed = format_rate(first.rate, first.unit)
        return f"{first.metric} grows{f' by {speed}' if speed else ''}"
    if first.outcome is Outcome.STABLE:
        return f"none of {len(found)} metrics grows"
    return f"{first.metric}: {first.reason or first.cause_text or first.outcome.value}"


def unseen(result: RunResult) -> tuple[str, ...]:
    """Sentences on what this run could not have seen."""
    periods: dict[int, list[str]] = {}
    for finding in in_order(result):
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
