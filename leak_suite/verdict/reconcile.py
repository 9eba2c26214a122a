"""Judging a run: every metric by itself, then all of them against one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from leak_suite.result import Cause, Finding, Outcome, Series
from leak_suite.units import format_rate, format_value
from leak_suite.verdict.run import LIVE, Run
from leak_suite.verdict.tolerance import RESIDENT, Tolerance

__all__ = ["Verdict", "fold", "judge_all"]

_SHARED = "shared pages"
_REMEDY = (
    "limit the arenas (MALLOC_ARENA_MAX=1 or 2), give freed memory back (MALLOC_TRIM_THRESHOLD_="
    "131072, or malloc_trim after each job)"
)
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


def fold(findings: Iterable[Finding]) -> Outcome:
    """One outcome of many: growth first, then budgets, then what could not be judged."""
    findings = tuple(findings)
    for outcome in (Outcome.GROWING, Outcome.OVER_BUDGET):
        if any(finding.outcome is outcome for finding in findings):
            return outcome
    required = [finding for finding in findings if finding.required]
    if not required or any(finding.outcome is Outcome.INCONCLUSIVE for finding in required):
        return Outcome.INCONCLUSIVE
    return Outcome.STABLE


def reconcile(run: Run, findings: Mapping[str, Finding], name: str) -> Finding:
    """The finding of one metric in the light of the others."""
    finding = findings[name]
    if name in run.budgets:
        finding = _against_budget(run, finding)
    kept = run.sees_live and run.creeps(name)
    if finding.outcome is Outcome.INCONCLUSIVE and not kept:
        return _covered(run, findings, finding)
    if name in RESIDENT:
        return _resident(run, findings, finding)
    return finding


def _against_budget(run: Run, finding: Finding) -> Finding:
    peak, budget = run.peak(finding.metric), run.budgets[finding.metric]
    if peak is None:
        reason = f"{finding.metric} could not be read, so its budget could not be checked."
        return replace(finding, outcome=Outcome.INCONCLUSIVE, cause="blind probe", reason=reason)
    highest, allowed = (format_value(value, finding.unit) for value in (peak, budget))
    compared = f"{highest} against a budget of {allowed}"
    if peak <= budget:
        return replace(finding, peak=peak, reason=f"{finding.reason} Its peak was {compared}.")
    if finding.outcome is Outcome.GROWING:
        return replace(
            finding, peak=peak, reason=f"{finding.reason} It is over budget: {compared}."
        )
    return replace(
        finding,
        outcome=Outcome.OVER_BUDGET,
        cause=Cause.PEAK,
        peak=peak,
        reason=f"{finding.metric} peaked at {compared}.",
    )


def _covered(run: Run, findings: Mapping[str, Finding], finding: Finding) -> Finding:
    """Whether a metric that could not be judged leaves a hole, or others have looked there."""
    name = finding.metric
    if name in run.budgets:
        return finding
    if name in RESIDENT and run.sees_live:
        return replace(finding, required=False)
    eyes = run.eyes(name, findings)
    if not run.is_required(name) and (eyes or run.is_blind(name)):
        return replace(finding, required=False)
    if run.is_blind(name) and eyes:
        reason = f"{finding.reason} {eyes[0]} covers for it, with a coarser view."
        return replace(finding, required=False, reason=reason)
    if name == "heap" and _is_stable(findings, "blocks") and _is_stable(findings, "gc_objects"):
        reason = f"{finding.reason} Python's own objects are steady; memory of C code is not seen."
        return replace(finding, required=finding.detectable_rate is None, reason=reason)
    return finding


def _is_stable(findings: Mapping[str, Finding], name: str) -> bool:
    return name in findings and findings[name].outcome is Outcome.STABLE


def _resident(run: Run, findings: Mapping[str, Finding], finding: Finding) -> Finding:
    """Say whether resident memory follows live memory, is kept by the allocator, or is mapped."""
    name, unit = finding.metric, finding.unit
    live = [other for other in LIVE if other in findings and not run.is_blind(other)]
    if run.is_only_shared(name, findings) and finding.outcome is Outcome.GROWING:
        reason = (
            f"{name} rose, but resident memory did not: others that shared pages with it let go."
        )
        doubt = Outcome.INCONCLUSIVE
        return replace(finding, outcome=doubt, cause=_SHARED, reason=reason, required=False)
    if finding.outcome is Outcome.STABLE:
        kept = bool(live) and finding.cause in {Cause.PLATEAU, Cause.FIRST_USE}
        if not kept or run.rise(name) < 4 * 1024**2 or run.rise("heap") > 0.5 * run.rise(name):
            return finding
        reason = f"{finding.reason} Live memory did not: the allocator keeps it. Hint: {_REMEDY}."
        return replace(finding, cause=Cause.RETENTION, reason=reason)
    if not live:
        seen = "Seen from outside, a leak cannot be told from memory that the allocator keeps."
        return replace(finding, reason=f"{finding.reason} {seen}")
    growing = [other for other in live if findings[other].outcome is Outcome.GROWING]
    if growing:
        return replace(finding, reason=f"{finding.reason} It follows {growing[0]}.")
    if run.is_mapped(name):
        where = "memory mapped directly, or by a library's own allocator"
        if name == "pss" and "rss" in findings and not run.is_mapped("rss"):
            where = "memory of a child process"
        reason = f"{finding.reason} Live heap and objects are flat: this is {where}."
        return replace(finding, reason=reason)
    steady = ", ".join(live)
    return replace(
        finding,
        outcome=Outcome.GROWING,
        cause=Cause.RETENTION,
        reason=f"{name} still rose by {format_rate(finding.rate or 0.0, unit)} when the budget "
        f"ended while {steady} stayed flat: the allocator keeps freed memory. Remedy: {_REMEDY}.",
    )


def judge_all(
    series: Sequence[Series],
    tolerances: Mapping[str, Tolerance],
    *,
    final: bool = False,
    seconds: float = 0.0,
    budgets: Mapping[str, float] = _NO_BUDGETS,
) -> Verdict:
    """Judge every series that has a tolerance or a budget, and reconcile the findings."""
    run = Run({one.metric: one for one in series}, tolerances, seconds, budgets)
    findings = {name: run.judge(name, final=final) for name in run.metrics()}
    rings = ", ".join(name for name in findings if run.rings(name, findings))
    waits = any(run.awaits(name, findings) for name in findings)
    if waits and not rings and not final:
        known = tuple(finding for finding in findings.values() if finding is not None)
        return Verdict(known, Outcome.INCONCLUSIVE, done=False, more_iterations=run.next_round())
    settled = {
        name: found or run.last_look(name, stopped_by=rings) for name, found in findings.items()
    }
    result = tuple(reconcile(run, settled, name) for name in settled)
    return Verdict(result, fold(result), done=True)
