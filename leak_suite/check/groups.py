"""One verdict of many: the subject's own, and those of the groups of its other processes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from leak_suite.result import Finding, Outcome
from leak_suite.verdict import Verdict, fold

__all__ = ["combined"]

_ORDER = (Outcome.GROWING, Outcome.OVER_BUDGET, Outcome.INCONCLUSIVE, Outcome.STABLE)


def combined(own: Verdict, groups: Iterable[tuple[str, Verdict]]) -> Verdict:
    """The worst finding of each metric, with the group that it is of.

    It is done when all are, or when one has seen enough to call the whole growing.
    """
    verdicts = [("", own), *groups]
    if len(verdicts) == 1:
        return own
    by_metric: dict[str, list[Finding]] = {}
    for group, verdict in verdicts:
        for finding in verdict.findings:
            labelled = replace(finding, process=group)
            by_metric.setdefault(finding.metric, []).append(labelled)
    findings = tuple(_worst(candidates) for candidates in by_metric.values())
    known = [v for _, v in verdicts]
    decided = any(v.done and v.outcome is Outcome.GROWING for v in known)
    done = decided or all(v.done for v in known)
    more = [v.more_iterations for v in known if v.more_iterations is not None]
    outcome = fold(findings) if done else Outcome.INCONCLUSIVE
    return Verdict(findings, outcome, done=done, more_iterations=min(more) if more else None)


def _worst(findings: Sequence[Finding]) -> Finding:
    """Growth first; of equal ones what is required, and what a group has: that says where."""
    return min(
        findings,
        key=lambda f: (_ORDER.index(f.outcome), not f.required, not f.process, -(f.rate or 0.0)),
    )
