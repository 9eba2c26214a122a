"""Growth in containers: filling, emptied at times, over budget, or a leak. Pure.

What a trace found of containers stands in `Finding.containers`; here it becomes the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from leak_suite.clauses import Clause, ClauseKind
from leak_suite.result import Cause, Finding, GrowingContainer, Outcome, Series
from leak_suite.verdict import thresholds
from leak_suite.verdict.tolerance import RESIDENT

__all__ = ["emptied_at_times", "fell", "filling", "judged_filling", "seen_emptied", "watched"]


def judged_filling(
    findings: Sequence[Finding], *, budgets: Mapping[str, float], allowance: float, pace: float
) -> tuple[Finding, ...]:
    """The findings, in which growth of bounded containers that are not full is filling.

    `allowance` are the bytes that full containers may take where a metric has no budget; `pace`
    is the seconds that an iteration takes.
    """
    judged = [filling(f, budgets=budgets, allowance=allowance, pace=pace) for f in findings]
    leaders = [f for f in judged if f.cause is Cause.FILLING and f.metric not in RESIDENT]
    if not leaders or any(_is_leak(f) and not _may_follow(f) for f in judged):
        return tuple(judged)
    return tuple(
        _following(f, leaders, budgets=budgets, allowance=allowance, pace=pace) for f in judged
    )


def filling(
    finding: Finding, *, budgets: Mapping[str, float], allowance: float, pace: float
) -> Finding:
    """The finding; where bounded containers explain its growth, with what they come to when full.

    Where a bound is passed already, the finding says that it does not hold.
    """
    if not _is_leak(finding):
        return finding
    passed = next((one for one in finding.containers if _is_passed(one)), None)
    if passed is not None and passed.bound is not None:
        clause = Clause(
            ClauseKind.BOUND_PASSED,
            text=f"{passed.holder} ({passed.bounded_by})",
            count=passed.length,
            of=passed.bound,
        )
        return replace(finding, clauses=(*finding.clauses, clause))
    if not _explained_by(finding, [one for one in finding.containers if _is_filling(one)]):
        return finding
    return _filled(finding, finding.containers, budgets, allowance, pace)


def emptied_at_times(findings: Iterable[Finding]) -> dict[str, GrowingContainer]:
    """The containers to watch, by metric: growth is in them, and code that runs empties them.

    Empty where anything else grows too: then there is nothing to wait for.
    """
    leaks = [finding for finding in findings if finding.outcome is Outcome.GROWING]
    found: dict[str, GrowingContainer] = {}
    for finding in leaks:
        held = [one for one in finding.containers if one.emptied_at or _is_filling(one)]
        emptied = next((one for one in held if one.emptied_at), None)
        if finding.process or not _is_leak(finding):
            return {}
        if finding.metric in RESIDENT:
            continue
        if emptied is None or not _explained_by(finding, held):
            return {}
        found[finding.metric] = emptied
    explained = next((one.containers for one in leaks if one.metric in found), ())
    for finding in leaks:
        if finding.metric in RESIDENT and found:
            if not _carries_resident(finding, explained):
                return {}
            found[finding.metric] = next(iter(found.values()))
    return found


def fell(series: Series, since: float) -> tuple[float, float] | None:
    """(highest, lowest after it) where most of the growth was given back after `since` iterations.

    None where it was not.
    """
    points = series.judged()
    later = [value for n, value in points if n >= since]
    if not later:
        return None
    start, top = points[0][1], max(value for _, value in points)
    at = max(k for k, (_, value) in enumerate(points) if value == top)
    bottom = min((value for _, value in points[at:]), default=top)
    given_back = top - bottom >= thresholds.EMPTIED_SHARE * (top - start) > 0
    return (top, bottom) if given_back else None


def seen_emptied(
    finding: Finding, container: GrowingContainer, fall: tuple[float, float] | None
) -> Finding:
    """The finding of a container that was seen to be emptied; without a `fall` it follows others.

    Resident memory may stay when the container is emptied: the allocator keeps it.
    """
    why = Clause(ClauseKind.EMPTIED, text=_emptied_text(container))
    if fall is not None:
        why = replace(why, kind=ClauseKind.EMPTIED_FROM_TO, value=fall[0], limit=fall[1])
    return replace(finding, outcome=Outcome.STABLE, cause=Cause.CYCLE, clauses=(why,), sites=())


def watched(
    finding: Finding,
    container: GrowingContainer,
    iterations: float,
    seconds: float,
    *,
    is_passed: bool = False,
) -> Finding:
    """The growing finding, with how long its container was watched and not seen to be emptied.

    Where the length is passed that it is emptied at, that is no bound.
    """
    clause = Clause(
        ClauseKind.WATCHED,
        text=_emptied_text(container),
        iterations=iterations,
        seconds=seconds,
    )
    containers = tuple(
        replace(one, bound=None, bounded_by="") if is_passed and one.emptied_at else one
        for one in finding.containers
    )
    return replace(finding, clauses=(*finding.clauses, clause), containers=containers)


def _is_leak(finding: Finding) -> bool:
    return finding.outcome is Outcome.GROWING and finding.cause is Cause.LEAK


def _is_filling(container: GrowingContainer) -> bool:
    """Whether it is no longer than its bound. One that is full by now was filling until then."""
    return container.bound is not None and container.length <= container.bound


def _is_passed(container: GrowingContainer) -> bool:
    return container.bound is not None and container.length > container.bound


def _explained_by(finding: Finding, held: Sequence[GrowingContainer]) -> bool:
    """Whether those containers carry the growth, and nothing of note grows beside them."""
    rate = finding.rate or 0.0
    carried = sum(one.growth for one in held)
    # Where a table doubled meanwhile, it has grown by up to twice what its entries need.
    most_carried = carried + sum(one.table for one in held)
    beside = sum(one.growth for one in finding.containers if one not in held)
    lines = {line for one in held for line in one.lines}
    # A site that no container of these has to do with is another cause.
    other = sum(
        site.per_iteration or 0.0
        for site in finding.sites
        if f"{site.file}:{site.line}" not in lines and not site.is_jump
    )
    if rate <= 0 or not held:
        return False
    most = thresholds.FILLING_BESIDE * rate
    whole = abs(carried - rate) <= most
    return most_carried >= thresholds.FILLING_EXPLAINED * rate and (
        beside <= most and (other <= most or whole)
    )


def _carries_resident(finding: Finding, containers: Iterable[GrowingContainer]) -> bool:
    """Whether resident memory grows by no more than what the containers take in, rounded up."""
    taken = sum(one.entry_bytes * one.per_iteration for one in containers)
    return 0 < (finding.rate or 0.0) * thresholds.FILLING_EXPLAINED <= taken


def _following(
    finding: Finding,
    leaders: Sequence[Finding],
    *,
    budgets: Mapping[str, float],
    allowance: float,
    pace: float,
) -> Finding:
    """Resident memory that grows by no more than a container that fills, or was stopped early."""
    containers = leaders[0].containers
    if not _may_follow(finding) or not _carries_resident(finding, containers):
        return finding
    return _filled(finding, containers, budgets, allowance, pace)


def _may_follow(finding: Finding) -> bool:
    """Whether it is a coarser view of what live metrics saw, or grew while it filled only.

    A heap that grew by the steps of a table shows no line that goes on, once the container is full.
    """
    if finding.metric == "heap":
        still = all(site.is_jump for site in finding.sites) and not finding.containers
        return _is_leak(finding) and still
    early = finding.cause is Cause.STOPPED_EARLY
    return finding.metric in RESIDENT and (_is_leak(finding) or early)


def _filled(
    finding: Finding,
    containers: Sequence[GrowingContainer],
    budgets: Mapping[str, float],
    allowance: float,
    pace: float,
) -> Finding:
    rate = finding.rate or 0.0
    bounded = sorted((one for one in containers if _is_filling(one)), key=lambda one: -one.growth)
    first = bounded[0]
    iterations = max(_to_full(one) for one in bounded)
    size = sum(one.entry_bytes * (one.bound or 0) for one in bounded)
    if finding.unit == "bytes":
        # What an entry adds to this metric, measured, is more than what its objects say.
        added = sum(one.entry_bytes * one.per_iteration for one in bounded)
        size *= max(1.0, rate / added) if added > 0 else 1.0
    clauses = [
        Clause(
            ClauseKind.FILLING,
            rate=rate,
            count=first.length,
            of=first.bound,
            text=_filling_text(first),
        ),
    ]
    if iterations > 0:
        left = Clause(ClauseKind.FULL_IN, iterations=iterations, seconds=iterations * pace)
        clauses.append(left)
    budget = budgets.get(finding.metric)
    if budget is None:
        within = size <= allowance
        kind = ClauseKind.FULL_WITHIN_ALLOWANCE if within else ClauseKind.FULL_OVER_ALLOWANCE
        clauses.append(Clause(kind, value=size, limit=allowance))
    else:
        level = (finding.peak or 0.0) + rate * iterations
        within = level <= budget
        kind = ClauseKind.FULL_WITHIN_BUDGET if within else ClauseKind.FULL_OVER_BUDGET
        clauses.append(Clause(kind, value=level, limit=budget))
    return replace(
        finding,
        outcome=Outcome.STABLE if within else Outcome.OVER_BUDGET,
        cause=Cause.FILLING,
        clauses=tuple(clauses),
        required=True,
    )


def _to_full(container: GrowingContainer) -> float:
    return ((container.bound or 0) - container.length) / max(container.per_iteration, 1e-9)


def _filling_text(container: GrowingContainer) -> str:
    line = f", filled at {container.lines[0]}" if container.lines else ""
    return f"{container.holder or container.type}{line}, bounded by {container.bounded_by}"


def _emptied_text(container: GrowingContainer) -> str:
    return f"{container.holder or container.type} at {_joined(container.emptied_at)}"


def _joined(places: Iterable[str]) -> str:
    return " or ".join(list(places)[:2])
