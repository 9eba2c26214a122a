"""After the lines are known: growth in bounded containers is judged, emptied ones are watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from leak_suite.checks.allowed import minimum_growth
from leak_suite.clauses import Clause, ClauseKind
from leak_suite.metrics import METRICS
from leak_suite.options import Options
from leak_suite.result import Cause, Finding, GrowingContainer, Outcome
from leak_suite.runner import Runner
from leak_suite.verdict import thresholds
from leak_suite.verdict.filling import (
    emptied_at_times,
    fell,
    judged_filling,
    seen_emptied,
    watched,
)
from leak_suite.verdict.reconcile import Verdict

__all__ = ["settled"]

Judge = Callable[[bool, frozenset[str]], Verdict]
"""The verdict on what was read so far: whether it is final, and the metrics to leave out."""


def settled(
    findings: Sequence[Finding],
    runner: Runner,
    options: Options,
    judge: Judge,
    on_round: Callable[[], None],
) -> tuple[Finding, ...]:
    """The findings, where growth in a container is distinguished from a leak as far as that can be.

    A container that code empties at times is watched, for as long as the run may go on; of a
    bounded one is said what it comes to when it is full. What was not judged because such growth
    had stopped the run is then judged.
    """
    pace = runner.seconds / max(1, runner.iterations - runner.warm_up_iterations)
    findings = _still_growing(findings, runner, options, judge, on_round)
    held = emptied_at_times(findings)
    leaks = [f for f in findings if f.metric in held]
    if held and _is_worth_watching(leaks, held, runner, options, pace):
        findings = _watched(findings, held, runner, judge, on_round)
    findings = judged_filling(
        findings, budgets=options.budgets, allowance=options.filling_allowance, pace=pace
    )
    if any(f.outcome is Outcome.GROWING for f in findings):
        return tuple(findings)
    if not any(f.cause is Cause.STOPPED_EARLY for f in findings):
        return tuple(findings)
    return _rest_judged(findings, runner, judge, on_round)


def _still_growing(
    findings: Sequence[Finding],
    runner: Runner,
    options: Options,
    judge: Judge,
    on_round: Callable[[], None],
) -> tuple[Finding, ...]:
    """The findings; judged anew where growth had stopped by the time that it was traced.

    A container that got full just before the trace, or within it, does not get longer all the
    time: its bound is not seen, but the readings after the trace soon rise no longer.
    """
    doubtful = [
        f
        for f in findings
        if f.outcome is Outcome.GROWING
        and f.cause is Cause.LEAK
        and _is_live(f.metric)
        and not f.containers
    ]
    if not doubtful:
        return tuple(findings)
    judged = runner.iterations - runner.warm_up_iterations
    most = max(1, round(thresholds.STILL_GROWING_SHARE * judged))
    for _ in range(thresholds.STILL_GROWING_STRETCHES):
        paces = _paces_of_a_stretch(most, doubtful, runner, options, on_round)
        if min(paces) < thresholds.STILL_GROWING_PACE:
            break
        if min(paces) >= thresholds.SURELY_GROWING_PACE or runner.stop is not None:
            return tuple(findings)
    else:
        return tuple(findings)
    stopped = [
        finding
        for finding, pace in zip(doubtful, paces, strict=True)
        if pace < thresholds.STILL_GROWING_PACE
    ]
    return _stopped_judged(findings, stopped, most, runner, options, judge, on_round)


def _stopped_judged(
    findings: Sequence[Finding],
    stopped: Sequence[Finding],
    most: int,
    runner: Runner,
    options: Options,
    judge: Judge,
    on_round: Callable[[], None],
) -> tuple[Finding, ...]:
    """The findings once it is clear whether what has `stopped` growing begins again.

    What grows, or begins again, keeps the lines that the trace found. What had no time to show
    that it has levelled off is inconclusive.
    """
    verdict = judge(runner.stop is not None, frozenset())
    for _ in range(thresholds.STOPPED_STRETCHES):
        grows = {(f.metric, f.process) for f in verdict.findings if f.outcome is Outcome.GROWING}
        unsure = any((f.metric, f.process) in grows for f in stopped)
        if runner.stop is not None or (verdict.done and not unsure):
            break
        paces = _paces_of_a_stretch(most, stopped, runner, options, on_round)
        stopped = [
            finding
            for finding, pace in zip(stopped, paces, strict=True)
            if pace < thresholds.STILL_GROWING_PACE
        ]
        if not stopped:
            return tuple(findings)
        verdict = judge(runner.stop is not None, frozenset())
    while not verdict.done:
        runner.advance(verdict.more_iterations)
        on_round()
        verdict = judge(runner.stop is not None, frozenset())
    traced = {(f.metric, f.process): f for f in findings if f.outcome is Outcome.GROWING}
    waiting = {(f.metric, f.process) for f in stopped}
    result = []
    for finding in verdict.findings:
        key = finding.metric, finding.process
        if finding.outcome is not Outcome.GROWING:
            result.append(finding)
        elif key in waiting:
            clause = Clause(ClauseKind.UNEVEN, of=runner.iterations - runner.warm_up_iterations)
            result.append(
                replace(
                    finding,
                    outcome=Outcome.INCONCLUSIVE,
                    cause=Cause.UNSETTLED,
                    clauses=(clause,),
                )
            )
        else:
            result.append(traced.get(key, finding))
    return tuple(result)


def _paces_of_a_stretch(
    most: int,
    findings: Sequence[Finding],
    runner: Runner,
    options: Options,
    on_round: Callable[[], None],
) -> list[float]:
    """Goes on for `most` iterations; how fast the metrics rose in them, see `_pace_since`."""
    since = runner.iterations
    while runner.stop is None and runner.iterations < since + most:
        # After a trace the first of them starts where tracing has left the subject.
        runner.advance(max(1, most // 2))
        on_round()
    return [_pace_since(since, finding, runner, options) for finding in findings]


def _pace_since(since: int, finding: Finding, runner: Runner, options: Options) -> float:
    """How fast the readings after `since` rise, in the finding's rate; 1 if they are too few."""
    minimum_of = partial(minimum_growth, options=options)
    of_processes = [one for group in runner.process_series(minimum_of).values() for one in group]
    known = [
        (n, value)
        for one in (*runner.series, *of_processes)
        if (one.metric, one.process) == (finding.metric, finding.process)
        for n, value in one.samples
        if n > since and value is not None
    ]
    if not finding.rate or len(known) < thresholds.STILL_GROWING_READINGS:
        return 1.0
    (first, low), (last, high) = known[0], known[-1]
    return (high - low) / (last - first) / finding.rate if last > first else 1.0


def _is_worth_watching(
    leaks: Sequence[Finding],
    held: dict[str, GrowingContainer],
    runner: Runner,
    options: Options,
    pace: float,
) -> bool:
    """Whether the run's limits let the container come to the length that it is emptied at."""
    if runner.stop is not None:
        return False
    known = [one for one in held.values() if one.bound is not None]
    iterations = max((_iterations_left(one) for one in known), default=0.0)
    grows = max((f.rate or 0.0 for f in leaks if f.unit == "bytes"), default=0.0)
    return iterations * pace <= runner.seconds_left and (
        grows * iterations <= options.max_growth_bytes
    )


def _iterations_left(container: GrowingContainer) -> float:
    """How many until it is certainly as long as it may be."""
    most = thresholds.EMPTIED_LATE * (container.bound or 0)
    return max(0.0, most - container.length) / max(container.per_iteration, 1e-9)


def _watched(
    findings: Sequence[Finding],
    held: dict[str, GrowingContainer],
    runner: Runner,
    judge: Judge,
    on_round: Callable[[], None],
) -> tuple[Finding, ...]:
    """The findings after more rounds: emptied and stable, or growing and watched for so long."""
    since, seconds = runner.iterations, runner.seconds
    lasting = [_iterations_left(one) for one in held.values() if one.bound is not None]
    until = since + max(lasting) if lasting else None
    # Readings farther apart than a tooth is long would miss that it falls.
    at_most = max(1, int(max(lasting) / thresholds.READINGS_A_TOOTH)) if lasting else None
    has_fallen = False
    verdict: Verdict | None = None
    while runner.stop is None:
        runner.advance(None if has_fallen else at_most)
        on_round()
        series = {one.metric: one for one in runner.series}
        drops = {name: fell(series[name], since) for name in held}
        has_fallen = has_fallen or any(drops[name] for name in held if _is_live(name))
        if has_fallen:
            verdict = judge(False, frozenset())
            # What rises after the fall may be the next tooth.
            rising = {f.metric for f in verdict.findings if f.outcome is Outcome.GROWING}
            if verdict.done and not rising & held.keys():
                return verdict.findings
        elif until is not None and runner.iterations > until:
            break
    if not has_fallen:
        more, took = runner.iterations - since, runner.seconds - seconds
        return tuple(
            watched(
                f, held[f.metric], more, took, is_passed=until is not None and more > until - since
            )
            if f.metric in held
            else f
            for f in findings
        )
    verdict = judge(True, frozenset())
    return tuple(
        f
        if f.outcome is Outcome.STABLE or f.metric not in held
        else seen_emptied(f, held[f.metric], drops[f.metric])
        for f in verdict.findings
    )


def _is_live(metric: str) -> bool:
    return metric in METRICS and METRICS[metric].live


def _rest_judged(
    findings: Sequence[Finding], runner: Runner, judge: Judge, on_round: Callable[[], None]
) -> tuple[Finding, ...]:
    """The findings, in which what had been stopped early is judged after more rounds."""
    known = frozenset(f.metric for f in findings if f.cause is not Cause.STOPPED_EARLY)
    verdict = judge(runner.stop is not None, known)
    while not verdict.done:
        runner.advance(verdict.more_iterations)
        on_round()
        verdict = judge(runner.stop is not None, known)
    found = {(f.metric, f.process): f for f in verdict.findings}
    return tuple(f if f.metric in known else found.get((f.metric, f.process), f) for f in findings)
