"""The order of work: choose what to trace, run it fresh and longer, put sites into findings."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from leak_suite.attribution.launching import Launcher
from leak_suite.attribution.plan import (
    ALLOCATIONS,
    OBJECTS,
    ORIGINS,
    deciding,
    first_length,
    lengths,
    longest,
    needs_sites,
    too_much,
    well_explained,
)
from leak_suite.attribution.runs import Record, Tracer, seen_by
from leak_suite.attribution.sites import JUMP, Amount, Traced, rank
from leak_suite.attribution.together import at_once
from leak_suite.clauses import Clause, ClauseKind
from leak_suite.errors import LeakSuiteError, SubjectError
from leak_suite.options import Options
from leak_suite.result import Finding, Site
from leak_suite.subject import AppSpec, CallableSpec, InProcessSpec, Spec

__all__ = ["attribute"]

MOST_SECONDS = 30.0
"""After so long, unless told otherwise, traced runs that have not ended are killed."""
_GRACE_SECONDS = 5.0
AGAIN_SECONDS = 3.0
"""Longer runs are only begun while less than this has gone by."""
FIRST_SECONDS, LATER_SECONDS = 0.6, 1.5
"""How long the longest of several runs may work: in the first turn, in later ones."""
TURNS = 3
LONGER = 8
"""A turn that explains too little, or too much, is followed by one of so many times its length."""
SAME = 0.2
"""Turns that differ by no more than this share found the same: more iterations change nothing."""
VERDICT_SHARE, MOST_PATIENCE = 0.25, 4.0
"""Where the verdict took long, so may the turns: a share of its seconds, up to so many times."""
LEAST_ITERATIONS = 20
WARM_UP_SHARE = 4
EXPLAINED_SHARE = 0.1
"""Sites that carry less than this share of the growth are not its cause."""
CONTAINERS_SHOWN = 2
OBJECT_FRAMES = 16
"""Of stacks of objects: own code is near where an object is made, and tracemalloc is slow."""


def attribute(
    spec: Spec,
    findings: Sequence[Finding],
    *,
    iterations: int,
    warm_up: int,
    options: Options,
    pace: float = 0.0,
    seconds: float = MOST_SECONDS,
) -> tuple[Finding, ...]:
    """The findings, those that grow with the sites that they grow from.

    `iterations` are those that the verdict saw after `warm_up`, each of `pace` seconds (0 if that
    is not known); the traced runs are shorter where that is enough. After `seconds` they are ended.
    A finding whose line cannot be told says in its reason why. Never raises for what goes wrong in
    a traced run: the verdict stands without it.
    """
    growing = [finding for finding in findings if needs_sites(finding)]
    if not growing:
        return tuple(findings)
    if not isinstance(spec, (CallableSpec, AppSpec, InProcessSpec)):
        note = Clause(ClauseKind.NO_SITE_OUTSIDE)
        return tuple(_told(f, note) if needs_sites(f) else f for f in findings)
    named = {f.metric: f for f in growing}
    until = time.monotonic() + seconds
    with (
        tempfile.TemporaryDirectory(
            prefix="leak-suite-trace-", ignore_cleanup_errors=True
        ) as folder,
        Launcher(spec) as launcher,
    ):
        work = _Work(launcher, spec, Path(folder), iterations, warm_up, pace, options, until)
        kinds = [(kind, wanted) for kind in _KINDS if (wanted := _of_kind(growing, kind))]
        turns = [partial(work.sites, kind, wanted) for kind, wanted in kinds]
        # A kind gives up by itself at that time; what it does afterwards is short.
        ended = work.each(turns, until + _GRACE_SECONDS)
        for (_, wanted), end in zip(kinds, ended, strict=True):
            named |= _failed(wanted, end) if isinstance(end, LeakSuiteError) else end
    for metric, finding in named.items():
        if metric.startswith("counter:"):
            named[metric] = _told(finding, Clause(ClauseKind.NO_SITE_COUNTER))
    return tuple(named[f.metric] if needs_sites(f) else f for f in findings)


@dataclass(frozen=True)
class _Kind:
    """One way to trace, the metrics that it is for, and how its records become sites."""

    metrics: Callable[[str], bool]
    trace: str
    shorter: bool
    sites: Callable[[Finding, Sequence[Record]], tuple[Site, ...]]
    plan: Callable[[Sequence[Finding]], dict[str, Any]]


class _Work:
    """The traced runs behind one call of `attribute`."""

    def __init__(
        self,
        launcher: Launcher,
        spec: Spec,
        folder: Path,
        iterations: int,
        warm_up: int,
        pace: float,
        options: Options,
        until: float,
    ) -> None:
        self._launch = launcher
        self._own = _own_names(spec)
        self._folder = folder
        self._iterations = max(iterations, LEAST_ITERATIONS)
        self._warm_up = warm_up
        self._pace = pace
        self._patience = min(MOST_PATIENCE, max(1.0, VERDICT_SHARE * iterations * pace))
        self._growth = options.max_growth_bytes / 2
        self._begun = time.monotonic()
        self._until = until

    def each(
        self, works: Sequence[Callable[[], dict[str, Finding]]], until: float
    ) -> list[dict[str, Finding] | LeakSuiteError]:
        """What each returned or how it failed; one after the other in this very process."""
        if not self._launch.same_process:
            return at_once(works, until=until, give_up=lambda: None)
        return [_caught(work) for work in works]

    def sites(self, kind: _Kind, findings: Sequence[Finding]) -> dict[str, Finding]:
        """The findings with sites, from runs as long as it takes to explain their growth."""
        tracer = self._tracer(kind, findings)
        cap = longest(findings, self._growth)
        most = self._iterations if cap is None else min(self._iterations, cap // 2)
        n = first_length(deciding(findings), self._pace, most)
        warm_up = min(self._warm_up, max(1, n // WARM_UP_SHARE))
        found: dict[str, Finding] = {}
        total = 0.0
        for turn in range(TURNS):
            seconds = self._patience * (LATER_SECONDS if turn else FIRST_SECONDS)
            plan = lengths(n, self._pace, seconds, shorter=kind.shorter)
            try:
                runs = tracer.run(plan, warm_up)
            except LeakSuiteError:
                if not found:
                    raise
                break
            found = {f.metric: self._with_sites(f, kind, runs) for f in findings}
            judged, before = found[deciding(findings).metric], total
            total = _total(judged.sites)
            as_before = turn > 0 and abs(total - before) <= SAME * before and total > 0
            if n >= most or as_before or not self._again(judged):
                break
            # What is rare or late needs as many as the verdict did; a cache may be full before.
            nothing = total < EXPLAINED_SHARE * (judged.rate or 0.0)
            n = most if nothing or turn == TURNS - 2 else min(most, n * LONGER)
        return found

    def _tracer(self, kind: _Kind, findings: Sequence[Finding]) -> Tracer:
        metrics = {finding.metric for finding in findings}
        return Tracer(
            self._launch,
            self._folder,
            kind.trace,
            {"own": self._own, **kind.plan(findings)},
            until=self._until,
            # Python's own allocations have a Python line; symbols help where there are none.
            native=kind.trace == "memray" and "heap" in metrics and "blocks" not in metrics,
            same_process=self._launch.same_process,
        )

    def _again(self, finding: Finding) -> bool:
        """Whether longer runs may show what these did not: a rare jump, or a cache when full."""
        if time.monotonic() - self._begun > self._patience * AGAIN_SECONDS:
            return False
        return not well_explained(finding, _total(finding.sites)) or JUMP in finding.sites[0].note

    def _with_sites(self, finding: Finding, kind: _Kind, runs: Sequence[Record]) -> Finding:
        sites = kind.sites(finding, runs)
        how = self._how(runs, filling=too_much(finding, _total(sites)))
        if sites:
            return _told(replace(finding, sites=sites), *how)
        traced = finding.metric in ALLOCATIONS
        why = ClauseKind.NO_SITE_TRACED if traced else ClauseKind.NO_SITE_GREW
        return _told(finding, Clause(why), *how)

    def _how(self, runs: Sequence[Record], *, filling: bool) -> tuple[Clause, ...]:
        """How the sites were found, and what that could not do."""
        before, after = runs[-2], runs[-1]
        clauses = [
            Clause(ClauseKind.SITES_COMPARED, iterations=before.iterations, of=after.iterations)
        ]
        if after.kind != "none":
            clauses.append(Clause(ClauseKind.SITES_UNDER, text=after.kind))
        if note := after.data.get("note"):
            clauses.append(Clause(ClauseKind.SITES_NOTE, text=note))
        if filling and before.iterations < self._iterations:
            clauses.append(Clause(ClauseKind.SITES_FILLING, of=self._iterations))
        return tuple(clauses)


def _allocated(finding: Finding, runs: Sequence[Record]) -> tuple[Site, ...]:
    """Lines that take memory; none where they take far less than what it grows by."""
    metric, unit = finding.metric, ALLOCATIONS[finding.metric]
    least = EXPLAINED_SHARE * (finding.rate or 0.0) if metric in ("heap", "blocks") else 0.0
    seen = seen_by(metric, runs)
    sites = _ranked(finding, runs, [run.allocations(unit, seen) for run in runs])
    if _total(sites) < least:
        # What one stack takes in several ways is told apart as a whole, which may go wrong.
        sites = _ranked(finding, runs, [run.allocations(unit, lambda _: True) for run in runs])
        if _total(sites) < least:
            return ()
    if sites and (note := _grown_containers(runs)):
        first = sites[0]
        sites = (replace(first, note=f"{first.note}; {note}".removeprefix("; ")), *sites[1:])
    return sites


def _made(finding: Finding, runs: Sequence[Record]) -> tuple[Site, ...]:
    """Lines that make objects."""
    name = finding.metric.partition(":")[2].rpartition(":")[2].rpartition(".")[2]
    return _ranked(finding, runs, [run.objects(name) for run in runs], noun="objects")


def _opened(finding: Finding, runs: Sequence[Record]) -> tuple[Site, ...]:
    """Lines that open what stays open."""
    watch = ORIGINS[finding.metric]
    return _ranked(finding, runs, [run.origins(watch) for run in runs])


_KINDS = (
    _Kind(
        metrics=lambda metric: metric in ORIGINS,
        trace="none",
        shorter=False,
        sites=_opened,
        plan=lambda findings: {"watch": sorted({ORIGINS[f.metric] for f in findings})},
    ),
    _Kind(
        metrics=lambda metric: metric in ALLOCATIONS,
        trace="memray",
        shorter=True,
        sites=_allocated,
        plan=lambda _: {"holders": True},
    ),
    _Kind(
        metrics=lambda metric: metric.startswith(OBJECTS),
        trace="tracemalloc",  # it knows each object's line
        shorter=False,
        sites=_made,
        plan=lambda _: {
            "objects": True,
            "holders": True,
            "allocations": False,
            "frames": OBJECT_FRAMES,
        },
    ),
)


def _of_kind(findings: Sequence[Finding], kind: _Kind) -> list[Finding]:
    return [finding for finding in findings if kind.metrics(finding.metric)]


def _ranked(
    finding: Finding,
    runs: Sequence[Record],
    amounts: Sequence[tuple[Amount, ...]],
    *,
    noun: str = "",
) -> tuple[Site, ...]:
    # A metric in bytes of another kind of thing (temporary files) has a rate of its own.
    rate = None if finding.metric == "temp_bytes" else finding.rate
    traced = [Traced(run.iterations, each) for run, each in zip(runs, amounts, strict=True)]
    return rank(traced, runs[-1].owner, rate=rate, noun=noun)


def _total(sites: Sequence[Site]) -> float:
    return sum(site.per_iteration or 0.0 for site in sites)


def _grown_containers(runs: Sequence[Record]) -> str:
    """Named containers that are longer after the longer run: most often they are the holders."""
    before, after = runs[-2].containers(), runs[-1].containers()
    span = runs[-1].age - runs[-2].age
    grown = [
        ((length - before[path][1]) / span, path, kind)
        for path, (kind, length) in after.items()
        if path in before and length - before[path][1] >= max(1, 0.01 * span)
    ]
    grown.sort(reverse=True)
    named = [f"{path} ({kind}, {rate:.3g} per iteration)" for rate, path, kind in grown]
    return "longer after each iteration: " + ", ".join(named[:CONTAINERS_SHOWN]) if named else ""


def _caught(work: Callable[[], dict[str, Finding]]) -> dict[str, Finding] | LeakSuiteError:
    try:
        return work()
    except LeakSuiteError as error:
        return error
    except Exception as error:  # the tracer's own, here where it shares the process
        return SubjectError(f"{type(error).__name__}: {error}")


def _failed(findings: Sequence[Finding], error: LeakSuiteError) -> dict[str, Finding]:
    note = Clause(ClauseKind.NO_SITE_FAILED, text=str(error))
    return {finding.metric: _told(finding, note) for finding in findings}


def _told(finding: Finding, *clauses: Clause) -> Finding:
    return replace(finding, clauses=(*finding.clauses, *clauses))


def _own_names(spec: Spec) -> list[str]:
    """Top-level packages that are the subject's own even where they are installed."""
    places = [getattr(spec, name, None) for name in ("target", "app")]
    modules = [str(place).rpartition(":")[0] for place in places if place]
    return [name.split(".")[0] for name in modules if "/" not in name and not name.endswith(".py")]
