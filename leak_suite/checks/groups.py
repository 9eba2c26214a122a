"""One verdict of many: the subject's own, those of its groups of processes, and what hid. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.metrics import METRICS
from leak_suite.result import Cause, Finding, Outcome
from leak_suite.subject import Coverage
from leak_suite.verdict import Verdict, overall_outcome

__all__ = ["combined", "seen_over", "within_coverage"]

_INSIDE = tuple(name for name, metric in METRICS.items() if metric.live)

_ORDER = (Outcome.GROWING, Outcome.OVER_BUDGET, Outcome.INCONCLUSIVE, Outcome.STABLE)


def combined(verdicts: Mapping[str, Verdict]) -> Verdict:
    """The worst finding of each metric, labelled with the group that it is of.

    `verdicts` are by group; "" is the subject's own. It is done when all are.
    """
    if len(verdicts) == 1:
        return next(iter(verdicts.values()))
    by_metric: dict[str, list[Finding]] = {}
    for group, verdict in verdicts.items():
        for finding in verdict.findings:
            labelled = replace(finding, process=group)
            by_metric.setdefault(finding.metric, []).append(labelled)
    findings = tuple(_worst(candidates) for candidates in by_metric.values())
    done = all(v.done for v in verdicts.values())
    more = [v.more_iterations for v in verdicts.values() if v.more_iterations is not None]
    outcome = overall_outcome(findings) if done else Outcome.INCONCLUSIVE
    return Verdict(findings, outcome, done=done, more_iterations=min(more) if more else None)


def seen_over(verdict: Verdict, iterations: float, minimum_of: Callable[[str], float]) -> Verdict:
    """The verdict on processes that are replaced after so many `iterations`.

    What adds less in a life than `minimum_of` the metric was not looked for.
    """
    findings = tuple(
        f
        if f.detectable_rate is None
        else replace(f, detectable_rate=max(f.detectable_rate, minimum_of(f.metric) / iterations))
        for f in verdict.findings
    )
    return replace(verdict, findings=findings)


def within_coverage(verdict: Verdict, coverage: Coverage) -> Verdict:
    """The verdict, in which nothing is stable that only an absent agent could have read."""
    if not coverage.without:
        return verdict
    missing_agents = ", ".join(coverage.without)
    why = Clause(
        ClauseKind.NO_AGENT, count=coverage.inside, of=coverage.python, text=missing_agents
    )
    findings = tuple(
        replace(
            f,
            outcome=Outcome.INCONCLUSIVE,
            cause=Cause.NO_AGENT,
            clauses=(why,),
            required=True,
        )
        if f.metric in _INSIDE and f.outcome is Outcome.STABLE
        else f
        for f in verdict.findings
    )
    missing = [m for m in _INSIDE if not any(f.metric == m for f in findings)]
    findings += tuple(
        Finding(m, "", Outcome.INCONCLUSIVE, Cause.NO_AGENT, clauses=(why,)) for m in missing[:1]
    )
    return replace(verdict, findings=findings, outcome=overall_outcome(findings))


def _worst(findings: Sequence[Finding]) -> Finding:
    """Growth first; of equal ones what is required, then what a group has: that says where.

    Of stable ones that which could see least: no more than that may be claimed.
    """
    worst = min(_ORDER.index(f.outcome) for f in findings)
    candidates = [f for f in findings if _ORDER.index(f.outcome) == worst]
    if _ORDER[worst] is Outcome.STABLE:
        return max(candidates, key=lambda f: f.detectable_rate or 0.0)
    return min(candidates, key=lambda f: (not f.required, not f.process, -(f.rate or 0.0)))
