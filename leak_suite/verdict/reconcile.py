"""Judging a run: every metric by itself, then all of them against one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.verdict import thresholds
from leak_suite.verdict.run_series import LIVE, RunSeries
from leak_suite.verdict.tolerance import RESIDENT, Tolerance

__all__ = ["Verdict", "judge_all", "overall_outcome"]

_NO_BUDGETS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Verdict:
    """The judgement of a run so far.

    While not `done`, more rounds are wanted, and `more_iterations`, where known, is how many are
    worth running before asking again: fewer when the growth seen would get out of hand.
    """

    findings: tuple[Finding, ...]
    outcome: Outcome
    done: bool
    more_iterations: int | None = None


def overall_outcome(findings: Iterable[Finding]) -> Outcome:
    """The outcome of a whole run: growth first, then budgets, then what could not be judged."""
    findings = tuple(findings)
    for outcome in (Outcome.GROWING, Outcome.OVER_BUDGET):
        if any(finding.outcome is outcome for finding in findings):
            return outcome
    required = [finding for finding in findings if finding.required]
    if not required or any(finding.outcome is Outcome.INCONCLUSIVE for finding in required):
        return Outcome.INCONCLUSIVE
    return Outcome.STABLE


def reconcile(run: RunSeries, findings: Mapping[str, Finding], name: str) -> Finding:
    """The finding of one metric in the light of the others."""
    finding = findings[name]
    if name in run.budgets:
        finding = _against_budget(run, finding)
    kept = run.sees_live and run.still_rising(name)
    if finding.outcome is Outcome.INCONCLUSIVE and not kept:
        return _covered(run, findings, finding)
    if name in RESIDENT and finding.outcome is not Outcome.OVER_BUDGET:
        return _resident(run, findings, finding)
    return finding


def _with(finding: Finding, kind: ClauseKind, *metrics: str) -> Finding:
    """The same finding with one more clause."""
    return replace(finding, clauses=(*finding.clauses, Clause(kind, metrics=metrics)))


def _against_budget(run: RunSeries, finding: Finding) -> Finding:
    peak, budget = run.peak(finding.metric), run.budgets[finding.metric]
    if peak is None:
        clauses: tuple[Clause, ...] = (Clause(ClauseKind.BUDGET_NOT_CHECKED),)
        doubt = Outcome.INCONCLUSIVE
        return replace(finding, outcome=doubt, cause=Cause.BLIND, clauses=clauses)
    compared = partial(Clause, value=peak, limit=budget)
    if peak <= budget:
        clauses = (*finding.clauses, compared(ClauseKind.WITHIN_BUDGET))
        return replace(finding, peak=peak, clauses=clauses)
    if finding.outcome is Outcome.GROWING:
        clauses = (*finding.clauses, compared(ClauseKind.OVER_BUDGET))
        return replace(finding, peak=peak, clauses=clauses)
    return replace(
        finding,
        outcome=Outcome.OVER_BUDGET,
        cause=Cause.PEAK,
        peak=peak,
        clauses=(compared(ClauseKind.PEAKED_OVER_BUDGET),),
    )


def _covered(run: RunSeries, findings: Mapping[str, Finding], finding: Finding) -> Finding:
    """Whether a metric that could not be judged leaves a hole, or others have looked there."""
    name = finding.metric
    if name in run.budgets:
        return finding
    if name in RESIDENT and run.sees_live:
        return replace(finding, required=False)
    covering_metrics = run.covering_metrics(name, findings)
    if not run.is_required(name) and (covering_metrics or run.is_blind(name)):
        return replace(finding, required=False)
    if run.is_blind(name) and covering_metrics:
        return _with(replace(finding, required=False), ClauseKind.COVERED, covering_metrics[0])
    if name == "heap" and _is_stable(findings, "blocks") and _is_stable(findings, "gc_objects"):
        required = finding.detectable_rate is None
        return _with(replace(finding, required=required), ClauseKind.OBJECTS_STEADY)
    return finding


def _is_stable(findings: Mapping[str, Finding], name: str) -> bool:
    return name in findings and findings[name].outcome is Outcome.STABLE


def _resident(run: RunSeries, findings: Mapping[str, Finding], finding: Finding) -> Finding:
    """Say whether resident memory follows live memory, is kept by the allocator, or is mapped."""
    name = finding.metric
    live = [other for other in LIVE if other in findings and not run.is_blind(other)]
    if run.is_only_shared(name, findings) and finding.outcome is Outcome.GROWING:
        return replace(
            finding,
            outcome=Outcome.INCONCLUSIVE,
            cause=Cause.SHARED_PAGES,
            clauses=(Clause(ClauseKind.SHARED_PAGES),),
            required=False,
        )
    if finding.outcome is Outcome.STABLE:
        heap = run.rise("heap") / thresholds.RETENTION_HEAP_SHARE
        kept = bool(live) and finding.cause in {Cause.PLATEAU, Cause.FIRST_USE}
        if not kept or run.rise(name) < thresholds.RETENTION_GROWTH or heap > run.rise(name):
            return finding
        return _with(replace(finding, cause=Cause.RETENTION), ClauseKind.ALLOCATOR_KEEPS)
    if not live:
        return _with(finding, ClauseKind.SEEN_FROM_OUTSIDE)
    growing = [other for other in live if findings[other].outcome is Outcome.GROWING]
    if growing:
        return _with(finding, ClauseKind.FOLLOWS, growing[0])
    if run.is_mapped(name):
        child = name == "pss" and "rss" in findings and not run.is_mapped("rss")
        return _with(finding, ClauseKind.IN_A_CHILD if child else ClauseKind.MAPPED)
    rise = run.rise_to_the_end(name)
    if finding.outcome is not Outcome.GROWING and rise is not None:
        finding = replace(finding, rate=rise[0], interval=rise[1])
    rate = finding.rate or 0.0
    return replace(
        finding,
        outcome=Outcome.GROWING,
        cause=Cause.RETENTION,
        clauses=(Clause(ClauseKind.RETAINED, rate=rate, metrics=tuple(live)),),
    )


def judge_all(
    series: Sequence[Series],
    tolerances: Mapping[str, Tolerance],
    *,
    final: bool = False,
    seconds: float = 0.0,
    budgets: Mapping[str, float] = _NO_BUDGETS,
    exhausted: bool = False,
) -> Verdict:
    """Judge every series that has a tolerance or a budget, and reconcile the findings.

    `final`: there will be no more rounds; `exhausted`: because the workload failed, or the subject
    grew too far.
    """
    run = RunSeries({one.metric: one for one in series}, tolerances, seconds, budgets)
    findings = {name: run.judge(name, final=final) for name in run.metrics()}
    enders = tuple(name for name in findings if run.ends_run(name, findings))
    waits = any(run.needs_more_rounds(name, findings) for name in findings)
    if waits and not enders and not final:
        known = tuple(finding for finding in findings.values() if finding is not None)
        return Verdict(known, Outcome.INCONCLUSIVE, done=False, more_iterations=run.next_round())
    settled = {
        name: found
        if found is not None and found.outcome is not Outcome.INCONCLUSIVE
        else run.final_finding(name, stopped_by=enders, exhausted=exhausted)
        for name, found in findings.items()
    }
    result = tuple(reconcile(run, settled, name) for name in settled)
    return Verdict(result, overall_outcome(result), done=True)
