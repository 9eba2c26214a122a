"""What a JUnit file says of a leak check: pairs of a name and a value."""

from __future__ import annotations

from leak_suite.render.summary import (
    failed_steps,
    format_growth,
    format_site,
    sorted_findings,
    verdict_sentence,
)
from leak_suite.result import Outcome, RunResult

__all__ = ["junit_properties"]

_SITES = 3  # of each metric


def junit_properties(result: RunResult) -> tuple[tuple[str, str], ...]:
    """The outcome and reason; then metric, rate and sites of each finding that is not stable."""
    pairs = [("outcome", result.outcome.value), ("reason", verdict_sentence(result))]
    for finding in sorted_findings(result):
        if finding.outcome is Outcome.STABLE:
            continue
        pairs.append(("metric", f"{finding.metric}: {finding.outcome.value}"))
        if finding.rate is not None:
            pairs.append(("rate", f"{finding.metric}: {format_growth(finding)} per iteration"))
        pairs += [("site", f"{finding.metric}: {format_site(s)}") for s in finding.sites[:_SITES]]
    pairs += [("failed_step", sentence) for sentence in failed_steps(result)]
    return tuple((f"leak_suite.{name}", value) for name, value in pairs)
