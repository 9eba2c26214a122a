"""A result in a line, and in the few that a failed test shows."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from leak_suite.fit.result import FitResult
from leak_suite.render.words import in_order, outcome_word, site_line, verdict
from leak_suite.result import Finding, Outcome
from leak_suite.result_file import Result
from leak_suite.units import format_rate

__all__ = ["headline", "in_short"]

_SITES = 3
_FRAMES = 4
_WIDTH = 80


def headline(result: Result) -> str:
    """The outcome and its reason in one line."""
    return f"{outcome_word(result).upper()}: {verdict(result)}"


def in_short(result: Result) -> str:
    """The headline, the reason and the first sites of the worst metric, and what else there is."""
    lines = [headline(result)]
    if isinstance(result, FitResult):
        return lines[0]
    found = [f for f in in_order(result) if f.outcome is not Outcome.STABLE]
    if not found:
        return lines[0]
    first, *others = found
    lines += _site_lines(first)
    if first.reason and first.reason not in lines[0]:
        lines += textwrap.wrap(first.reason, _WIDTH)
    for other in others:
        if other.outcome is Outcome.INCONCLUSIVE and first.outcome is not Outcome.INCONCLUSIVE:
            break  # it grows: what else could not be told is no matter here
        speed = format_rate(other.rate, other.unit)
        lines.append(f"{other.outcome.value}: {other.metric}  {speed}".rstrip())
        if other.sites and (not first.sites or _place(other) != _place(first)):
            lines += _site_lines(replace(other, sites=other.sites[:1]))
    return "\n".join(lines)


def _place(finding: Finding) -> str:
    return site_line(finding.sites[0])


def _site_lines(finding: Finding) -> list[str]:
    lines = []
    for site in finding.sites[:_SITES]:
        speed = format_rate(site.per_iteration, finding.unit)
        lines.append(f"  {site_line(site)}  {speed}".rstrip())
        frames = [frame for frame in site.stack if frame != site_line(site)]
        lines += [f"    {frame}" for frame in (site.note, *frames[:_FRAMES]) if frame]
    return lines
