"""The order of work: trace two windows of the running subject, put sites into findings."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from leak_suite.attribution.plan import (
    ALLOCATIONS,
    LITTLE,
    MUCH,
    OBJECTS,
    ORIGINS,
    WINDOWS,
    deciding,
    longest,
    needs_sites,
    too_much,
    traced_in,
    visible_to,
    well_explained,
    window,
)
from leak_suite.attribution.sites import Kept, contained, containers_of, rank
from leak_suite.attribution.trace import StackTotal, Trace
from leak_suite.clauses import Clause, ClauseKind
from leak_suite.errors import LeakSuiteError, SubjectDied, SubjectError
from leak_suite.options import Options
from leak_suite.result import Finding, Site
from leak_suite.subject import Spec, Subject
from leak_suite.subject.trace_data import TracePlan

__all__ = ["attribute", "attribute_afresh", "memray_path"]

TURNS = 3
LONGER = 8
"""A turn that explains too little, or too much, is followed by one of so many times its length."""
SAME = 0.2
"""Turns that differ by no more than this share found the same: more iterations change nothing."""
FIRST_SECONDS, LATER_SECONDS = 1.5, 4.0
"""How long both windows of a turn should take: of the first turn, of later ones."""
VERDICT_SHARE = 0.25
"""Where the verdict took long, so may a turn: up to this share of its seconds."""
ONE_ITERATION_SECONDS = 120.0
"""An iteration that takes so much longer than the others hangs."""
EXPLAINED = 0.8
"""Sites that carry less than this share of the growth leave something to be explained."""
EXPLAINED_OF_MANY = 0.5
"""The same where one process of several was traced: they may work by turns."""
EXPLAINED_SHARE = 0.1
"""Sites that carry less than this share of the growth are not its cause."""
CONTAINED_SHARE = 0.4
"""Where what containers took in carries so much of the growth, the rest is turnover."""
WARM_UP_PART = 4
"""Of iterations that are few, no more than one part of so many warms up."""
_NO_GUARD = 1e9


def attribute(
    subject: Subject,
    spec: Spec,
    findings: Sequence[Finding],
    *,
    iterations: int,
    options: Options,
    pace: float = 0.0,
    age: int | None = None,
    most: int | None = None,
) -> tuple[Finding, ...]:
    """The findings, those that grow with the sites that they grow from.

    `subject` is entered and warm; it goes on working while it is traced. `iterations` are those
    that the verdict saw, each of `pace` seconds (0 if that is not known); `age`, where it is
    another number, those that this subject has done. At `most` so many more may it be asked for.
    A finding whose line cannot be found says in its reason why. Never raises for what goes wrong
    while tracing: the verdict stands without it.
    """
    named = {_key(finding): finding for finding in _without_trace(subject, spec, findings)}
    traced = [finding for finding in findings if _is_traced(finding)]
    if traced and _can_be_traced(subject, spec):
        work = _Work(subject, spec, iterations, age or iterations, pace, options, most)
        try:
            named |= work.sites(traced)
        except SubjectDied as error:
            if age is not None:  # one that was started for this: it may be tried again
                raise
            clause = Clause(ClauseKind.NO_SITE_ENDED, text=str(error))
            named |= {_key(finding): _with_clauses(finding, clause) for finding in traced}
        except LeakSuiteError as error:
            clause = Clause(ClauseKind.NO_SITE_FAILED, text=str(error))
            named |= {_key(finding): _with_clauses(finding, clause) for finding in traced}
    return tuple(named[_key(finding)] for finding in findings)


def _key(finding: Finding) -> tuple[str, str]:
    return finding.metric, finding.process


def _can_be_traced(subject: Subject | None, spec: Spec) -> bool:
    """Whether there is an agent inside; of a subject that is still to be started, may be one."""
    return spec.agent_inside if subject is None else subject.coverage().inside > 0


def _is_traced(finding: Finding) -> bool:
    return needs_sites(finding) and any(source.metrics(finding.metric) for source in _SOURCES)


def _without_trace(
    subject: Subject | None, spec: Spec, findings: Sequence[Finding]
) -> tuple[Finding, ...]:
    """The findings, with the reason where it is known beforehand that no line can be named."""
    inside = _can_be_traced(subject, spec)

    def why(finding: Finding) -> ClauseKind:
        if not inside:
            return ClauseKind.NO_SITE_OUTSIDE
        counter = finding.metric.startswith("counter:")
        return ClauseKind.NO_SITE_COUNTER if counter else ClauseKind.NO_SITE_METRIC

    return tuple(
        _with_clauses(finding, Clause(why(finding)))
        if needs_sites(finding) and not (inside and _is_traced(finding))
        else finding
        for finding in findings
    )


def attribute_afresh(
    spec: Spec,
    findings: Sequence[Finding],
    *,
    iterations: int,
    warm_up: int,
    options: Options,
    pace: float = 0.0,
    most: int | None = None,
) -> tuple[Finding, ...]:
    """As `attribute`, on a subject that is started for it: the one that was judged has ended.

    `most` are the iterations that it bears, `warm_up` among them.
    """
    if most is not None:
        warm_up = max(1, min(warm_up, most // WARM_UP_PART))

    def work() -> tuple[Finding, ...]:
        with spec.open() as subject:
            done = subject.round(warm_up, seconds=FIRST_SECONDS, guard_factor=_NO_GUARD)
            if done.error is not None:
                raise SubjectError(f"the workload failed: {done.error}")
            return attribute(
                subject, spec, findings,
                iterations=iterations, options=options, pace=pace, age=max(1, done.done),
                most=None if most is None else most - done.done,
            )  # fmt: skip

    if not any(_is_traced(finding) for finding in findings) or not _can_be_traced(None, spec):
        return _without_trace(None, spec, findings)
    try:
        try:
            return work()
        except SubjectDied:  # a tracer may crash what lives well without it
            return work()
    except LeakSuiteError as error:
        clause = Clause(ClauseKind.NO_SITE_FAILED, text=str(error))
        return tuple(_with_clauses(f, clause) if needs_sites(f) else f for f in findings)


class _Work:
    """The traces behind one call of `attribute`."""

    def __init__(
        self,
        subject: Subject,
        spec: Spec,
        iterations: int,
        age: int,
        pace: float,
        options: Options,
        most: int | None = None,
    ) -> None:
        self._subject = subject
        self._own = list(spec.own_packages())
        self._iterations = max(iterations, 1)
        self._age = age
        self._pace = pace
        self._growth = options.max_growth_bytes / 2
        self._verdict_seconds = iterations * pace
        self._left = most

    def sites(self, findings: Sequence[Finding]) -> dict[tuple[str, str], Finding]:
        """The findings with sites, from windows as long as it takes to explain their growth."""
        most = self._bearable(longest(findings, self._growth))
        n = window(findings, self._pace, self._seconds(FIRST_SECONDS), most)
        places = traced_in(findings)
        found: dict[tuple[str, str], Finding] = {}
        total = 0.0
        for turn in range(TURNS):
            try:
                traces = self._trace(places, n)
                # A worker may be replaced while it is traced: then another one, and for less long.
                ended = {p: places[p] for p, trace in traces.items() if isinstance(trace, Clause)}
                if ended and not found:
                    traces = {**traces, **self._trace(ended, max(1, n // 2))}
            except LeakSuiteError:
                if not found:
                    raise
                break
            for process, wanted in places.items():
                trace = traces[process]
                for finding in wanted:
                    if isinstance(trace, Clause) and _key(finding) in found:
                        continue  # an earlier turn has said more
                    found[_key(finding)] = (
                        _with_clauses(finding, trace)
                        if isinstance(trace, Clause)
                        else with_sites(finding, trace)
                    )
            if self._left is None or self._left >= WINDOWS * n:
                found |= self._charged(findings, found, places, n)
            judged, before = found[_key(deciding(findings))], total
            total = total_of(judged.sites)
            as_before = turn > 0 and abs(total - before) <= SAME * before and total > 0
            longer = self._longer(n, self._bearable(most))
            if longer < 2 * n or as_before or not _again(judged):
                break
            n = longer
        return found

    def _charged(
        self,
        findings: Sequence[Finding],
        found: Mapping[tuple[str, str], Finding],
        places: Mapping[str, Sequence[Finding]],
        n: int,
    ) -> dict[tuple[str, str], Finding]:
        """Findings of memory whose allocations have no Python line, by the heap's growth."""
        dark = [f for f in findings if f.metric in HEAP_METRICS and in_the_dark(f, found[_key(f)])]
        if not dark:
            return {}
        wanted = {process: [f for f in all_of if f in dark] for process, all_of in places.items()}
        wanted = {process: of_it for process, of_it in wanted.items() if of_it}
        try:
            traces = self._trace(wanted, n, CHARGING)
        except LeakSuiteError:
            return {}
        return {
            _key(finding): with_charges(finding, found[_key(finding)], trace)
            for process, of_it in wanted.items()
            for finding in of_it
            if isinstance(trace := traces[process], Trace)
        }

    def _longer(self, n: int, most: int | None) -> int:
        """The next turn's n: more of what is rare or late, or more than a cache turns over in."""
        pace = max(self._pace, 1e-9)
        seconds = self._seconds(LATER_SECONDS)
        longer = min(LONGER * n, self._iterations, int(seconds / pace / WINDOWS))
        return longer if most is None else min(longer, most // WINDOWS)

    def _bearable(self, most: int | None) -> int | None:
        """`most`, or fewer where the subject would fail before."""
        if self._left is None:
            return most
        return self._left if most is None else min(self._left, most)

    def _seconds(self, least: float) -> float:
        return max(least, VERDICT_SHARE * self._verdict_seconds)

    def _trace(
        self,
        places: Mapping[str, Sequence[Finding]],
        n: int,
        instead: TracePlan | None = None,
    ) -> dict[str, Trace | Clause]:
        """Trace n iterations and twice as many, in all processes at once.

        `instead` says what is traced, where that does not follow from the findings. Of a process
        that cannot be traced the clause that says why.
        """
        traces: dict[str, Trace | Clause] = {}
        begun: dict[str, float] = {}
        with tempfile.TemporaryDirectory(prefix="leak-suite-trace-") as folder:
            for number, (process, findings) in enumerate(places.items()):
                plan: TracePlan = {
                    **(instead or plan_for(findings)),
                    "own": self._own,
                    "output": str(Path(folder) / f"{number}.bin"),
                    "iterations": self._age,
                    "memray_path": memray_path(),
                    "metric": deciding(findings).metric,
                }
                try:
                    started = self._subject.begin_trace(plan, process)
                    begun[process] = float(started.get("share", 1.0))
                except SubjectDied:
                    raise
                except SubjectError as error:
                    traces[process] = Clause(ClauseKind.NO_SITE_FAILED, text=str(error))
            if not begun:
                return traces
            first = self._repeat(n, self._seconds(LATER_SECONDS))
            for process in begun:
                self._subject.mark_trace(process)
            second = self._repeat(2 * n, 2 * self._seconds(LATER_SECONDS))
            for process, share in begun.items():
                try:
                    data = self._subject.end_trace(process)
                    decides = deciding(places[process])
                    share = share_of_work(share, decides, data.get("others"), first + second)
                    traces[process] = Trace(first, second, data, process, share)
                except SubjectDied:  # noqa: PERF203
                    raise
                except SubjectError as error:
                    traces[process] = Clause(ClauseKind.NO_SITE_ENDED, text=str(error))
        return traces

    def _repeat(self, iterations: int, least: float) -> int:
        """So many iterations, or as many as fit into far more time than they took untraced."""
        seconds = max(least, 4 * iterations * self._pace)
        done = self._subject.round(
            iterations,
            seconds=seconds,
            guard_factor=_NO_GUARD,
            timeout=seconds + ONE_ITERATION_SECONDS,
        )
        if not done.done:
            raise SubjectError(f"the workload failed while it was traced: {done.error}")
        if self._left is not None:
            self._left -= done.done
        return done.done


@dataclass(frozen=True)
class _Source:
    """Where the sites of a metric come from."""

    metrics: Callable[[str], bool]
    sites: Callable[[Finding, Trace], tuple[Site, ...]]


def plan_for(findings: Sequence[Finding]) -> TracePlan:
    """What the agent must trace; see its `Tracing.begin`."""
    metrics = {finding.metric for finding in findings}
    memory = any(metric in ALLOCATIONS or metric.startswith(OBJECTS) for metric in metrics)
    return {
        "allocations": "memray" if memory else "none",
        # Python's own allocations have a Python line; symbols help where there are none.
        "native": bool(metrics & {"heap", "rss", "rss_anon"}) and "blocks" not in metrics,
        "containers": memory,
        "objects": any(metric.startswith(OBJECTS) for metric in metrics),
        "watch": sorted({ORIGINS[metric] for metric in metrics if metric in ORIGINS}),
    }


def with_sites(finding: Finding, trace: Trace) -> Finding:
    """The finding with what the trace says of it. Pure."""
    source = next(source for source in _SOURCES if source.metrics(finding.metric))
    sites = source.sites(finding, trace)
    finding = replace(finding, containers=containers_of(_kept(finding, trace)))
    how = _how(finding, trace, sites)
    if sites:
        return _with_clauses(replace(finding, sites=_shared(finding, sites)), *how)
    traced = finding.metric in ALLOCATIONS
    why = ClauseKind.NO_SITE_TRACED if traced else ClauseKind.NO_SITE_GREW
    return _with_clauses(finding, Clause(why), *how)


def _shared(finding: Finding, sites: Sequence[Site]) -> tuple[Site, ...]:
    """The sites with their shares of the growth, where their rates are in its unit."""
    whole = max(finding.rate or 0.0, total_of(sites))
    if finding.rate is None or finding.metric == "temp_bytes" or whole <= 0:
        return tuple(sites)
    return tuple(replace(site, share=(site.per_iteration or 0.0) / whole) for site in sites)


def share_of_work(share: float, finding: Finding, others: float | None, iterations: int) -> float:
    """The part of its group's growth that the traced process had in those `iterations`. Pure.

    Workers do not share the work alike, nor as they did before: what the `others` did not grow by
    while it was traced, it did. Its own readings tell of the tracer too. `share` is what it had
    before, and stands where that cannot be decided.
    """
    if others is None or not finding.rate or finding.rate <= 0:
        return share
    rest = 1 - others / (finding.rate * iterations)
    return min(1.0, rest) if rest >= LEAST_WORK else share


LEAST_WORK = 0.05
"""A traced process that did less than this share of the work would say little of it."""


def in_the_dark(finding: Finding, found: Finding) -> bool:
    """Whether its sites leave most of the growth without a Python line."""
    return not found.sites or (
        bool(finding.rate)
        and sum(site.per_iteration or 0.0 for site in found.sites if site.file)
        < LITTLE * (finding.rate or 0.0)
    )


def with_charges(finding: Finding, found: Finding, trace: Trace) -> Finding:
    """The finding with the lines under which the C library's heap grew, if that explains it. Pure.

    `found` is what the recorded allocations gave.
    """
    rate = finding.rate or 0.0
    charges = [total for total in trace.charges() if total.stack]
    # A line that takes as much as stays is the one; others' memory is freed by no line, but by
    # the end of the call.
    nearest = min(charges, key=lambda total: abs(total.first / trace.first - rate), default=None)
    chosen: list[StackTotal] = []
    if nearest is not None and well_explained(finding, nearest.first / trace.first):
        chosen = [nearest]
    else:
        for total in sorted(charges, key=lambda total: -total.first):
            carried = sum(other.first for other in chosen) / trace.first
            if carried >= EXPLAINED * rate or total.first / trace.first < EXPLAINED_SHARE * rate:
                break
            chosen.append(total)
    carried = sum(other.first for other in chosen) / trace.first
    if carried < LITTLE * rate:
        return found
    sites = list(rank(trace, chosen, rate=rate))
    native = next((site for site in found.sites if not site.file), None)
    notes = [native.note] if native is not None else []
    notes += [
        f"threads are started by {site.file}:{site.line}"
        for site in rank(trace, trace.origins("threads"))[:1]
        if site.file
    ]
    if notes:
        sites[0] = replace(sites[0], note="; ".join([*notes, sites[0].note]).rstrip("; "))
    how = (
        Clause(
            ClauseKind.SITES_TRACED, iterations=trace.first_iterations, of=trace.second_iterations
        ),
        Clause(ClauseKind.SITES_BY_HEAP),
    )
    return _with_clauses(replace(finding, sites=_shared(finding, sites)), *how)


HEAP_METRICS = frozenset(("heap", "rss", "rss_anon", "pss", "private_dirty"))
CHARGING: TracePlan = {"allocations": "none", "heap": True, "watch": ["threads"]}
"""The plan of a trace that charges own lines with the heap's growth."""


def _allocated(finding: Finding, trace: Trace) -> tuple[Site, ...]:
    """Lines that take memory that stays; none where they take far less than what it grows by."""
    metric, rate = finding.metric, finding.rate
    survivors = trace.survivors(ALLOCATIONS[metric], partial(visible_to, metric))
    if rate:  # most of what is mapped is never touched, and not resident
        most = MUCH * rate * trace.first
        survivors = [total for total in survivors if not (total.kind and total.first > most)]
    kept = _kept(finding, trace)
    explained = sum(entry.amount for entry in kept)
    if (
        rate
        and CONTAINED_SHARE * rate <= explained
        and too_much(finding, sum(total.first for total in survivors) / trace.first)
    ):
        survivors = []  # more than grew: what a cache turned over is among them
    sites = rank(trace, survivors, kept, rate=rate)
    least = EXPLAINED_SHARE * (rate or 0.0) if metric in ("heap", "blocks") else 0.0
    return sites if total_of(sites) >= least else ()


def _made(finding: Finding, trace: Trace) -> tuple[Site, ...]:
    """Lines that make objects."""
    kept = _kept(finding, trace)
    totals = trace.objects(_class_name(finding))
    if trace.tool != "tracemalloc" and kept:
        # Of types that the interpreter keeps memory for, the record names anybody.
        totals = [total for total in totals if total.kind not in FREE_LISTED]
    return rank(trace, totals, kept, rate=finding.rate, noun="objects")


def _kept(finding: Finding, trace: Trace) -> list[Kept]:
    """What containers took in, in what the finding counts; nothing of what is opened."""
    if finding.metric in ORIGINS:
        return []
    if finding.metric.startswith(OBJECTS):
        return contained(trace.containers(), "objects", _class_name(finding))
    unit = {"blocks": "blocks", "heap": "large"}.get(finding.metric, "bytes")
    return contained(trace.containers(), unit)


def _class_name(finding: Finding) -> str:
    """The class whose objects a metric counts; empty for those of all classes."""
    return finding.metric.partition(":")[2].rpartition(":")[2].rpartition(".")[2]


FREE_LISTED = ("dict", "list", "tuple", "float", "method")


def _opened(finding: Finding, trace: Trace) -> tuple[Site, ...]:
    """Lines that open what stays open."""
    # A metric in bytes of another kind of thing (temporary files) has a rate of its own.
    rate = None if finding.metric == "temp_bytes" else finding.rate
    return rank(trace, trace.origins(ORIGINS[finding.metric]), rate=rate)


_SOURCES = (
    _Source(lambda metric: metric in ORIGINS, _opened),
    _Source(lambda metric: metric in ALLOCATIONS, _allocated),
    _Source(lambda metric: metric.startswith(OBJECTS), _made),
)


def _how(finding: Finding, trace: Trace, sites: Sequence[Site]) -> tuple[Clause, ...]:
    """How the sites were found, and what that could not do."""
    clauses = [
        Clause(
            ClauseKind.SITES_TRACED, iterations=trace.first_iterations, of=trace.second_iterations
        )
    ]
    if trace.tool != "none":
        clauses.append(Clause(ClauseKind.SITES_BY, text=trace.tool))
    if trace.note:
        clauses.append(Clause(ClauseKind.SITES_NOTE, text=trace.note))
    found = total_of(sites)
    if sites and finding.rate and finding.metric != "temp_bytes":
        if too_much(finding, found):
            clauses.append(Clause(ClauseKind.SITES_TURNOVER))
        elif found < (EXPLAINED if trace.share == 1.0 else EXPLAINED_OF_MANY) * finding.rate:
            clauses.append(Clause(ClauseKind.SITES_UNEXPLAINED, rate=finding.rate - found))
    return tuple(clauses)


def _again(finding: Finding) -> bool:
    """Whether longer windows may show what these did not: a rare jump, or a cache when full."""
    if not well_explained(finding, total_of(finding.sites)):
        return True
    return finding.sites[0].is_jump


def total_of(sites: Sequence[Site]) -> float:
    """What sites grow by together, per iteration."""
    return sum(site.per_iteration or 0.0 for site in sites)


def _with_clauses(finding: Finding, *clauses: Clause) -> Finding:
    return replace(finding, clauses=(*finding.clauses, *clauses))


def memray_path() -> str:
    """The folder that memray can be imported from here, for subjects that lack it."""
    spec = importlib.util.find_spec("memray")
    return "" if spec is None or spec.origin is None else str(Path(spec.origin).parent.parent)
