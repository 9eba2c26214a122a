"""What a JUnit file says of a leak check: plain name and value pairs."""

from __future__ import annotations

from leak_suite.fit.result import FitResult
from leak_suite.render.summary import format_growth, format_site, sorted_findings, verdict_sentence
from leak_suite.result import Outcome
from leak_suite.result_file import Result

__all__ = ["properties"]


def properties(result: Result) -> tuple[tuple[str, str], ...]:
    """The outcome and reason; then metric, rate and site of each finding that is not stable."""
    said = [
        ("leak_suite.outcome", result.outcome.value),
        ("leak_suite.reason", verdict_sentence(result)),
    ]
    if isinstance(result, FitResult):
        return tuple(said)
    for finding in sorted_findings(result):
        if finding.outcome is Outcome.STABLE:
            continue
        said.append(("leak_suite.metric", f"{finding.metric}: {finding.outcome.value}"))
        if finding.rate is not None:
            said.append(
                ("leak_suite.rate", f"{finding.metric}: {format_growth(finding)} per iteration")
            )
        said += [
            ("leak_suite.site", f"{finding.metric}: {format_site(s)}") for s in finding.sites[:3]
        ]
    return tuple(said)
