"""The one place where measuring, judging and attributing meet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from leak_suite.checks.allowed import minimum_growth, tolerances
from leak_suite.checks.filling import settled
from leak_suite.checks.groups import combined, seen_over, within_coverage
from leak_suite.clauses import Clause, ClauseKind
from leak_suite.environment import environment
from leak_suite.errors import Interrupted, SubjectError
from leak_suite.known_leaks import KNOWN_LEAKS, installed_version
from leak_suite.metrics import metric_named
from leak_suite.options import Accepted, Options
from leak_suite.result import (
    Agents,
    Cause,
    Details,
    Finding,
    Outcome,
    Row,
    RunResult,
    SelfCheck,
    Series,
)
from leak_suite.runner import Limits, Runner, Stop, least_in_a_life
from leak_suite.subject import Extras, Spec, Subject
from leak_suite.units import format_duration
from leak_suite.verdict import Verdict, judge_all, overall_outcome

__all__ = ["STILL_RUNNING", "RunProgress", "check"]

STILL_RUNNING = "still running"
_log = logging.getLogger(__name__)
_SOFT_STOPS = {"deadline", "growth", "interrupted"}
_EXHAUSTED = {"failed", "growth", "died"}
_BORNE = 0.8
"""Of the iterations after which a workload failed, the part that may be repeated to trace it."""


@dataclass(frozen=True)
class RunProgress:
    """Where a run is; as text, a line for people. `result`, if there is one, holds all so far."""

    stage: str
    iterations: int = 0
    seconds: float = 0.0
    result: Callable[[], RunResult] | None = None

    def __str__(self) -> str:
        if not self.iterations:
            return self.stage
        return f"{self.stage}: {self.iterations:,} iterations in {format_duration(self.seconds)}"


Listener = Callable[[RunProgress], None]


def check(spec: Spec, options: Options, *, on_progress: Listener | None = None) -> RunResult:
    """Run the workload on the subject of `spec` until its growth can be judged.

    SubjectError if it cannot even be started; a subject that dies or hangs later is a result.
    Ctrl-C while measuring becomes `Interrupted`, which carries the verdict on what there is.
    """
    report = on_progress or (lambda _: None)
    report(RunProgress("starting"))
    limits = Limits(options.max_seconds, options.max_growth_bytes, options.max_threads)
    with spec.open(Extras(options.tracked, options.counters)) as subject:
        runner = Runner(subject, limits)
        if spec.in_this_process:
            _prewarm(subject.read(), options)

        def so_far(verdict: Verdict) -> RunResult:
            known = _result(spec, options, subject, runner, verdict, {})
            return replace(known, outcome=Outcome.INCONCLUSIVE, reason=STILL_RUNNING)

        verdict = _measure(runner, options, report, so_far)
        verdict = within_coverage(verdict, subject.coverage())
        evidence = _evidence(subject, runner, verdict)
        result = _result(spec, options, subject, runner, verdict, evidence)
        if runner.stop is not None and runner.stop.reason == "interrupted":
            raise Interrupted(result)
        wanted = result.outcome is Outcome.GROWING and options.attribution
        alive = runner.stop is None or runner.stop.reason not in _over_for(spec)
        if wanted:
            report(
                RunProgress("finding what grew", result.iterations, result.seconds, lambda: result)
            )
        if wanted and alive:
            result = _attributed(spec, subject, result, runner, options)
            found = _settled(spec, subject, result, runner, options, report)
            failed = found.details.attribution_error
            outcome = overall_outcome(found.findings)
            verdict = replace(verdict, findings=found.findings, outcome=outcome)
            result = _result(spec, options, subject, runner, verdict, evidence)
            details = replace(result.details, attribution_error=failed)
            result = replace(result, details=details)
            if runner.stop is not None and runner.stop.reason == "interrupted":
                raise Interrupted(result)
    if wanted:
        if not alive:
            result = _attributed(spec, None, result, runner, options)
        result = _accepted(result, verdict, runner.stop, options.accepted)
    return result


def _over_for(spec: Spec) -> tuple[str, ...]:
    """The ends after which the subject can be traced no more, but one that is started afresh."""
    if not spec.agent_inside or spec.in_this_process:
        return ("died", "hung")
    return ("died", "hung", "failed")


def _measure(
    runner: Runner, options: Options, report: Listener, so_far: Callable[[Verdict], RunResult]
) -> Verdict:
    report(RunProgress("warming up"))
    try:
        runner.warm_up()
        more: int | None = None
        while True:
            runner.advance(more)
            verdict = _judged(runner, options, final=runner.stop is not None)
            if runner.stop is not None or _is_over(verdict, options):
                return verdict
            more = verdict.more_iterations
            now = partial(so_far, verdict)
            report(RunProgress("measuring", runner.iterations, runner.seconds, now))
            del verdict, now  # they would stand in the next reading of this very process
    except KeyboardInterrupt:
        runner.interrupt()
        return _judged(runner, options, final=True)


def _settled(
    spec: Spec,
    subject: Subject,
    result: RunResult,
    runner: Runner,
    options: Options,
    report: Listener,
) -> RunResult:
    """The same result, after growth in containers that are bounded or emptied was looked into.

    What begins to grow only now is traced as well, and settled once more.
    """

    def judge(final: bool, without: frozenset[str]) -> Verdict:
        return _judged(runner, options, final=final, without=without)

    def on_round() -> None:
        stage = "watching what fills, or is emptied at times"
        report(RunProgress(stage, runner.iterations, runner.seconds, lambda: result))

    try:
        for _ in range(2):
            known = {f.metric for f in result.findings if f.outcome is Outcome.GROWING}
            findings = settled(result.findings, runner, options, judge, on_round)
            result = replace(result, findings=findings)
            growing = {f.metric for f in findings if f.outcome is Outcome.GROWING}
            if growing <= known or runner.stop is not None:
                break
            result = _attributed(spec, subject, result, runner, options)
    except KeyboardInterrupt:
        runner.interrupt()
    return result


def _is_over(verdict: Verdict, options: Options) -> bool:
    """Whether no more rounds are wanted. A soak only ends early for what is wrong."""
    if options.soak:
        return verdict.done and verdict.outcome in (Outcome.GROWING, Outcome.OVER_BUDGET)
    return verdict.done


def _prewarm(metrics: Iterable[str], options: Options) -> None:
    """Judge made-up readings, so that what judging keeps in this process is there beforehand."""
    shapes: tuple[Callable[[int], float], ...] = (
        lambda _: 0.0,
        lambda i: 5000.0 * i,
        lambda i: 9e4 * (i % 7),
        lambda i: 1e6 * (i > 9),
    )
    for shape in shapes:
        made_up = [
            Series(one, metric_named(one).unit, tuple((i * 500, shape(i)) for i in range(24)), 4)
            for one in metrics
        ]
        for final in (False, True):
            allowed = tolerances(made_up, options)
            judge_all(made_up, allowed, final=final, seconds=9.0, budgets=options.budgets)


def _judged(
    runner: Runner, options: Options, *, final: bool, without: frozenset[str] = frozenset()
) -> Verdict:
    """The verdict on all that was read so far, `without` some metrics."""
    minimum_of = partial(minimum_growth, options=options)
    measured = {"": runner.series, **runner.process_series(minimum_of)}
    budgets = {name: most for name, most in options.budgets.items() if name not in without}

    def judged(group: str, final: bool) -> Verdict:
        series = [one for one in measured[group] if one.metric not in without]
        return judge_all(
            series,
            tolerances(series, options),
            final=final,
            seconds=runner.seconds,
            budgets={} if group else budgets,
            exhausted=runner.stop is not None and runner.stop.reason in _EXHAUSTED,
        )

    verdicts = {group: judged(group, final) for group in measured}
    if any(v.done and v.outcome is Outcome.GROWING for v in verdicts.values()):
        # One has seen enough: of the others stays what can be said of them by now.
        verdicts = {group: v if v.done else judged(group, True) for group, v in verdicts.items()}
    return combined(
        {
            group: verdict
            if (life := runner.replaced_after(group)) is None
            else seen_over(verdict, life, lambda one: least_in_a_life(one, minimum_of(one)))
            for group, verdict in verdicts.items()
        }
    )


def _evidence(subject: Subject, runner: Runner, verdict: Verdict) -> dict[str, tuple[Row, ...]]:
    """The rows behind each growing metric, while the subject is still there to be asked."""
    if runner.stop is not None and runner.stop.reason in ("died", "hung", "interrupted"):
        return {}
    growing = [f.metric for f in verdict.findings if f.outcome is Outcome.GROWING]
    if any(metric_named(metric).live for metric in growing):
        growing.append("lru_caches")
    where = {f.metric: f"{f.process}@" for f in verdict.findings if f.process}
    found: dict[str, tuple[Row, ...]] = {}
    for metric in growing:
        try:
            rows = subject.describe(where.get(metric, "") + metric)
        except SubjectError:
            continue
        if rows:
            found[metric] = tuple(tuple(row) for row in rows)
    return found


def _result(
    spec: Spec,
    options: Options,
    subject: Subject,
    runner: Runner,
    verdict: Verdict,
    evidence: Mapping[str, tuple[Row, ...]],
) -> RunResult:
    outcome, reason = _outcome(verdict, runner.stop)
    processes = runner.process_series(partial(minimum_growth, options=options))
    about = subject.about
    coverage = subject.coverage()
    details = Details(
        warm_up_iterations=runner.warm_up_iterations,
        rounds=runner.rounds,
        overhead=runner.overhead_share,
        overhead_seconds=runner.overhead,
        gc_frozen=runner.frozen,
        self_check={name: SelfCheck(*check) for name, check in about.self_check.items()},
        blind=dict(about.blind),
        not_observed=tuple(about.not_observed),
        stopped="" if runner.stop is None else runner.stop.reason,
        subject_output="" if runner.stop is None else runner.stop.output,
        evidence=evidence,
        tolerances=dict(options.tolerances),
        budgets=dict(options.budgets),
        iteration="0.1 s of watching" if spec.is_watched else "",
        not_called=subject.routes.not_called(),
        refused=subject.routes.refused(),
        command=("leak-suite", "run", *words) if (words := spec.command()) else (),
    )
    return RunResult(
        subject=str(spec),
        workload=spec.workload_name(),
        environment=environment(about.environment),
        outcome=outcome,
        iterations=runner.iterations,
        seconds=runner.seconds,
        series=(*runner.series, *(s for one in processes.values() for s in one)),
        findings=verdict.findings,
        reason=reason,
        details=details,
        agents=Agents(coverage.inside, coverage.python, coverage.without)
        if coverage.python or spec.may_lack_python
        else None,
    )


def _outcome(verdict: Verdict, stop: Stop | None) -> tuple[Outcome, str]:
    """A workload that fails, hangs or dies was not judged, unless something grew before."""
    if stop is None:
        return verdict.outcome, ""
    if stop.reason in _SOFT_STOPS or verdict.outcome is Outcome.GROWING:
        return verdict.outcome, stop.text
    return Outcome.INCONCLUSIVE, stop.text


def _attributed(
    spec: Spec, subject: Subject | None, result: RunResult, runner: Runner, options: Options
) -> RunResult:
    """The same result, with the lines that the growth came from.

    Without a `subject` that still lives another is started.
    """
    from leak_suite.attribution import attribute, attribute_afresh

    done = result.iterations - runner.warm_up_iterations
    pace = result.seconds / max(1, done)
    failed = runner.stop is not None and runner.stop.reason == "failed"
    try:
        findings: tuple[Finding, ...]
        if subject is not None:
            findings = attribute(
                subject, spec, result.findings, iterations=done, options=options, pace=pace
            )
            runner.end_trace()
        else:
            findings = attribute_afresh(
                spec,
                result.findings,
                iterations=done,
                warm_up=runner.warm_up_iterations,
                options=options,
                pace=pace,
                most=int(_BORNE * result.iterations) if failed else None,
            )
    except Exception as error:  # the verdict stands without its sites
        _log.debug("the search for the line failed", exc_info=True)
        details = replace(result.details, attribution_error=f"{type(error).__name__}: {error}")
        return replace(result, details=details)
    return replace(result, findings=findings)


def _accepted(
    result: RunResult, verdict: Verdict, stop: Stop | None, accepted: Sequence[Accepted]
) -> RunResult:
    """The same result, where growth that comes from accepted leaks only does not count as such."""
    if not accepted or all(f.outcome is not Outcome.GROWING for f in result.findings):
        return result
    from leak_suite.attribution import explain

    today = date.today()
    accepted, refused = _in_these_versions(accepted, str(result.environment.get("executable")))
    findings = []
    for finding in result.findings:
        if finding.outcome is Outcome.GROWING:
            found = explain(finding, accepted, today)
            finding = replace(finding, clauses=(*found.clauses, *refused, *finding.clauses))
            if found.explained:
                finding = replace(finding, outcome=Outcome.STABLE, cause=Cause.ACCEPTED)
        findings.append(finding)
    judged = replace(verdict, findings=tuple(findings), outcome=overall_outcome(findings))
    outcome, reason = _outcome(judged, stop)
    return replace(result, findings=judged.findings, outcome=outcome, reason=reason)


def _in_these_versions(
    accepted: Sequence[Accepted], python: str
) -> tuple[list[Accepted], list[Clause]]:
    """The entries that count for what `python` has installed, and what to say of the others."""
    counting, refused = [], []
    for entry in accepted:
        leak = KNOWN_LEAKS.get(entry.known)
        installed = leak and installed_version(python, leak.distributions)
        if leak is None or (installed and leak.is_in(installed[1])):
            counting.append(entry)
            continue
        has = " ".join(installed) if installed else f"no {leak.distributions[0]}"
        versions = " or ".join(leak.versions)
        text = f"{leak.name} is known of version {versions}, and the subject has {has}"
        refused.append(Clause(ClauseKind.NOT_ACCEPTED, text=text))
    return counting, refused
