"""The order of work: choose what to trace, run it fresh and longer, put sites into findings."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from leak_suite.attribution.plan import (
    ALLOCATIONS,
    OBJECTS,
    ORIGINS,
    longest,
    needs_sites,
    next_lengths,
)
from leak_suite.attribution.runs import Launch, Record, Tracer, launch
from leak_suite.attribution.sites import Amount, Traced, rank
from leak_suite.errors import LeakSuiteError
from leak_suite.options import Options
from leak_suite.result import Finding, Site
from leak_suite.subject import AppSpec, CallableSpec, InProcessSpec, Spec

__all__ = ["attribute"]

MOST_SECONDS = 12.0
"""What all traced runs of a fast workload may take together, starts included."""
LEAST_SECONDS = 3.0
"""What one kind of trace may take however long those before it took ..."""
LAST_SECONDS = 30.0
"""... but none is begun after so much time."""
LEAST_ITERATIONS = 20
EXPLAINED_SHARE = 0.1
"""Sites that carry less than this share of the growth of the heap are not its cause."""
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
) -> tuple[Finding, ...]:
    """The findings, those that grow with the sites that they grow from.

    `iterations` are those that the verdict saw after `warm_up`; the traced runs go beyond them as
    far as time allows. A finding whose line cannot be told says in its reason why. Never raises
    for what goes wrong in a traced run: the verdict stands without it.
    """
    growing = [finding for finding in findings if needs_sites(finding)]
    if not growing:
        return tuple(findings)
    if not isinstance(spec, (CallableSpec, AppSpec, InProcessSpec)):
        note = "No line is named: this subject is seen from outside only."
        return tuple(_told(f, note) if needs_sites(f) else f for f in findings)
    memory = [finding for finding in growing if finding.metric in ALLOCATIONS]
    objects = [finding for finding in growing if finding.metric.startswith(OBJECTS)]
    things = [finding for finding in growing if finding.metric in ORIGINS]
    named = {f.metric: f for f in growing}
    own = _own_names(spec)
    with tempfile.TemporaryDirectory(prefix="leak-suite-trace-") as folder:
        work = _Work(spec, Path(folder), iterations, warm_up, options)
        kinds = ((work.things, things), (work.memory, memory), (work.objects, objects))
        tasks = [(trace, wanted) for trace, wanted in kinds if wanted]
        begun = time.monotonic()
        last = min(LAST_SECONDS, options.max_seconds)
        for done, (trace, wanted) in enumerate(tasks):
            spent = time.monotonic() - begun
            share = (min(MOST_SECONDS, options.max_seconds) - spent) / (len(tasks) - done)
            if done and spent > last:
                note = "No line is named: the time for tracing was up."
                named |= {finding.metric: _told(finding, note) for finding in wanted}
            else:
                seconds = max(LEAST_SECONDS, share)
                named |= _guarded(partial(trace, own=own, seconds=seconds), wanted)
    for metric, finding in named.items():
        if metric.startswith("counter:"):
            named[metric] = _told(finding, "No line is named for a counter that the app declares.")
    return tuple(named[f.metric] if needs_sites(f) else f for f in findings)


class _Work:
    """The traced runs behind one call of `attribute`."""

    def __init__(
        self,
        spec: Spec,
        folder: Path,
        iterations: int,
        warm_up: int,
        options: Options,
    ) -> None:
        self._launch: Launch = partial(launch, spec)
        self._same_process = isinstance(spec, InProcessSpec)
        self._folder = folder
        self._iterations = max(iterations, LEAST_ITERATIONS)
        self._warm_up = warm_up
        self._growth = options.max_growth_bytes / 2

    def memory(
        self, findings: Sequence[Finding], *, own: Sequence[str], seconds: float
    ) -> dict[str, Finding]:
        """Bytes and blocks: runs of n/2, n and 2n under memray (or tracemalloc)."""
        plan = {"own": list(own), "holders": True}
        metrics = {finding.metric for finding in findings}
        # Python's own allocations have a Python line; symbols help where there are none.
        native = "heap" in metrics and "blocks" not in metrics
        runs = self._runs("memray", plan, findings, seconds, shorter_first=True, native=native)
        return {f.metric: _with_allocations(f, runs, self._words(runs)) for f in findings}

    def objects(
        self, findings: Sequence[Finding], *, own: Sequence[str], seconds: float
    ) -> dict[str, Finding]:
        """Objects by type: runs of n and 2n under tracemalloc, which knows each object's line."""
        plan = {"own": list(own), "objects": True, "holders": True, "allocations": False}
        plan["frames"] = OBJECT_FRAMES
        runs = self._runs("tracemalloc", plan, findings, seconds, shorter_first=False)
        return {f.metric: _with_objects(f, runs, self._words(runs)) for f in findings}

    def things(
        self, findings: Sequence[Finding], *, own: Sequence[str], seconds: float
    ) -> dict[str, Finding]:
        """What is opened: runs of n and 2n with a look after each line of the subject's own."""
        plan = {"own": list(own), "watch": sorted({ORIGINS[f.metric] for f in findings})}
        runs = self._runs("none", plan, findings, seconds, shorter_first=False)
        return {f.metric: _with_origins(f, runs, self._words(runs)) for f in findings}

    def _runs(
        self,
        kind: str,
        plan: Mapping[str, Any],
        findings: Sequence[Finding],
        seconds: float,
        *,
        shorter_first: bool,
        native: bool = False,
    ) -> list[Record]:
        tracer = Tracer(
            self._launch, self._folder, self._warm_up, plan, same_process=self._same_process
        )
        most = longest(findings, self._growth)
        n = self._iterations if most is None else min(self._iterations, most // 2)
        first = n // 2 if shorter_first else n
        run = partial(tracer.run, kind, native=native)
        # Half of the time for work; n/2, n and 2n are seven parts of it, n and 2n are three.
        part = seconds / (14 if shorter_first else 6)
        runs = [run(max(1, first), seconds=part, holders=not shorter_first)]
        begun = runs[0]
        pace = begun.seconds / begun.iterations
        following = next_lengths(
            begun.iterations,
            shorter_first=shorter_first,
            pace=pace,
            overhead=begun.overhead,
            seconds=seconds - begun.seconds - begun.overhead,
        )
        # A leak slows a traced run down, but a hang must not last.
        runs += [run(length, seconds=max(4 * part, 3 * pace * length)) for length in following]
        if runs[-1].iterations <= runs[-2].iterations:
            raise LeakSuiteError("it became too slow to be repeated twice as often")
        return runs

    def _words(self, runs: Sequence[Record]) -> str:
        """How the sites were found, and what that could not do."""
        longest_run = runs[-1]
        words = f"Sites: {runs[-2].iterations} against {longest_run.iterations} iterations"
        if longest_run.kind != "none":
            words += f" under {longest_run.kind}"
        if note := longest_run.data.get("note"):
            words += f" ({note})"
        if longest_run.kind != "none" and runs[-2].iterations < self._iterations:
            words += (
                f"; the verdict saw {self._iterations}, so that what a cache was still filling "
                "with may stand beside the leak"
            )
        return words + "."


def _with_allocations(finding: Finding, runs: Sequence[Record], words: str) -> Finding:
    unit = ALLOCATIONS[finding.metric]
    rate = finding.rate or 0.0
    heap = finding.metric == "heap"
    sites = _ranked(runs, [run.allocations(unit, heap_only=heap) for run in runs])
    if heap and _total(sites) < EXPLAINED_SHARE * rate:
        # Stacks that make small and large things are told apart by their mean size only.
        sites = _ranked(runs, [run.allocations(unit) for run in runs])
    found = _total(sites)
    if heap and found < EXPLAINED_SHARE * rate:
        return _told(
            finding,
            f"No line is named: traced allocations carry {found:.4g} of the {rate:.4g} bytes that "
            "an iteration adds; the rest is taken where tracing cannot see, as by C code that "
            f"calls the C library through ctypes. {words}",
        )
    if sites and (note := _grown_containers(runs)):
        first = sites[0]
        sites = (replace(first, note=f"{first.note}; {note}".removeprefix("; ")), *sites[1:])
    return _told(replace(finding, sites=sites), words)


def _with_objects(finding: Finding, runs: Sequence[Record], words: str) -> Finding:
    name = finding.metric.partition(":")[2].rpartition(":")[2].rpartition(".")[2]
    sites = _ranked(runs, [run.objects(name) for run in runs], noun="objects")
    return _named(finding, sites, words)


def _with_origins(finding: Finding, runs: Sequence[Record], words: str) -> Finding:
    watch = ORIGINS[finding.metric]
    return _named(finding, _ranked(runs, [run.origins(watch) for run in runs]), words)


def _named(finding: Finding, sites: tuple[Site, ...], words: str) -> Finding:
    if not sites:
        return _told(finding, f"No line is named: nothing grew where tracing looks. {words}")
    return _told(replace(finding, sites=sites), words)


def _ranked(
    runs: Sequence[Record], amounts: Sequence[tuple[Amount, ...]], *, noun: str = ""
) -> tuple[Site, ...]:
    traced = [Traced(run.iterations, each) for run, each in zip(runs, amounts, strict=True)]
    return rank(traced, runs[-1].owner, noun=noun)


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


def _guarded(work: Any, findings: Sequence[Finding]) -> dict[str, Finding]:
    try:
        result: dict[str, Finding] = work(findings)
    except LeakSuiteError as error:
        note = f"No line is named: the traced run did not succeed ({error})."
        result = {finding.metric: _told(finding, note) for finding in findings}
    return result


def _told(finding: Finding, note: str) -> Finding:
    return replace(finding, reason=f"{finding.reason} {note}".strip())


def _own_names(spec: Spec) -> list[str]:
    """Top-level packages that are the subject's own even where they are installed."""
    places = [getattr(spec, name, None) for name in ("target", "app")]
    modules = [str(place).rpartition(":")[0] for place in places if place]
    return [name.split(".")[0] for name in modules if "/" not in name and not name.endswith(".py")]
