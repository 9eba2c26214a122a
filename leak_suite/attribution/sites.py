"""From what two windows left to lines, ranked by growth per iteration. Pure."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from leak_suite.attribution.trace import (
    INTERPRETER,
    STEADY_SHARE,
    Container,
    Stack,
    StackTotal,
    Trace,
    TraceFrame,
)
from leak_suite.places import Place
from leak_suite.result import GrowingContainer, Site

__all__ = ["Kept", "contained", "containers_of", "function_at", "rank"]

MOST_SITES = 8
LEAST_SHARE = 0.02
"""A line that grew by less than this share of the first one is not worth a place."""
MOST_FRAMES = 25
NEXT_TO_NOTHING = 0.05
"""A line with less than this share of the growth does not stand before one that has more."""
ALIKE = 0.2
"""Lines within this share of the fastest are ordered by their bytes first."""
OWN_SHARE = 0.3
"""Own code with at least this share of the fastest stands before a library without own callers."""
RESIZING_SHARE = 0.1
"""Allocations that are rarer than this share of the insertions at their line are a table's."""
HOLDER_SHARE = 0.1
"""A container is named at a line of which it keeps at least this share."""
CONTAINED_SHARE = 0.4
"""Containers whose items make up this share of the growth explain it: their lines go first."""


@dataclass
class SiteTotals:
    """A line, with what it left in both windows, and what containers say of it.

    `moved` is what it made, per iteration, and another line put into a container.
    """

    first: float = 0.0
    second: float = 0.0
    weight: float = 0.0
    contained: float = 0.0
    moved: float = 0.0
    holders: dict[str, float] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    members: dict[tuple[Stack, str], float] = field(default_factory=dict)
    details: dict[tuple[Stack, str], str] = field(default_factory=dict)
    makers: dict[TraceFrame, float] = field(default_factory=dict)

    def rate(self, trace: Trace) -> float:
        """Growth per iteration: of what the first window left, since that has proved to stay."""
        survived = self.first / trace.first if self.first > 0 else self.second / trace.iterations
        return max(survived - self.moved, self.contained)

    def steady(self, trace: Trace) -> bool:
        """Whether both windows left something of it."""
        if self.contained > 0:
            return True
        return self.second / trace.second >= STEADY_SHARE * self.first / trace.first > 0


def rank(
    trace: Trace,
    totals: Iterable[StackTotal],
    kept: Iterable[Kept] = (),
    *,
    rate: float | None = None,
    noun: str = "",
) -> tuple[Site, ...]:
    """The lines that grew, the fastest first.

    `totals` are what was left, by stack; `kept` what containers took in, in the same unit. Where
    `kept` explains a share of the finding's `rate`, its lines go first: an allocation's record may
    name whoever had that piece of memory before. `noun` is what is counted ("objects"), where the
    kinds of things at a line shall stand in its note.
    """
    kept = list(kept)
    places = _places(_without_resizing(trace, totals, kept), kept)
    grown = [_Grown(total.rate(trace), total, frame) for frame, total in places.items()]
    grown = [entry for entry in grown if entry.rate > 0]
    # What has no line is named only where nothing that matters beside it has one.
    dark = [entry.rate for entry in grown if not entry.frame.line]
    least = NEXT_TO_NOTHING * max(dark, default=0.0)
    grown = [entry for entry in grown if entry.frame.line and entry.rate >= least] or grown
    if not grown:
        return ()
    grown = _ordered(trace, grown, rate)
    least = LEAST_SHARE * max(grown[0].rate, rate or 0.0)
    return tuple(_site(trace, entry, noun) for entry in grown if entry.rate >= least)[:MOST_SITES]


def _without_resizing(
    trace: Trace,
    totals: Iterable[StackTotal],
    kept: Iterable[Kept],
) -> list[StackTotal]:
    """What was left, without the tables of containers that were made larger once in a while.

    Such an allocation holds what was there before too; what a new item adds to the table is known.
    """
    inserting: dict[TraceFrame, float] = {}
    for container in {id(entry.container): entry.container for entry in kept}.values():
        for stack, share in container.inserting:
            frame = _site_frame(stack)
            inserted = share * container.per_iteration
            inserting[frame] = max(inserting.get(frame, 0.0), inserted)
    return [
        total
        for total in totals
        if total.allocations is None
        or total.allocations / trace.first
        > RESIZING_SHARE * inserting.get(_site_frame(total.stack), -1.0)
    ]


@dataclass(frozen=True)
class _Grown:
    """A line that grew, and by how much per iteration."""

    rate: float
    totals: SiteTotals
    frame: TraceFrame


def _places(totals: Iterable[StackTotal], kept: Iterable[Kept]) -> dict[TraceFrame, SiteTotals]:
    places: defaultdict[TraceFrame, SiteTotals] = defaultdict(SiteTotals)
    for total in totals:
        place = places[_site_frame(total.stack)]
        place.first += total.first
        place.second += total.second
        place.weight += total.weight
        key = (total.stack, total.kind)
        place.members[key] = place.members.get(key, 0.0) + (total.first or total.second)
        if total.detail:
            place.details[key] = total.detail
        if total.holder:
            place.holders[total.holder] = place.holders.get(total.holder, 0.0) + total.first
    for amount, stack, kind, made, container in kept:
        place = places[_site_frame(stack)]
        place.contained += amount
        if container.path:
            place.holders[container.path] = place.holders.get(container.path, 0.0) + amount
            place.containers[container.path] = container
        place.members[stack, kind] = place.members.get((stack, kind), 0.0) + amount
        if made and made != stack:
            places[_site_frame(made)].moved += amount
        if made:
            frame = _site_frame(made)
            place.makers[frame] = place.makers.get(frame, 0.0) + amount
    return dict(places)


class Kept(NamedTuple):
    """What a container took in per iteration at one line, of one type of objects.

    `made` is the stack that made them, where it is not the one that put them in.
    """

    amount: float
    stack: Stack
    kind: str
    made: Stack
    container: Container


def contained(containers: Iterable[Container], unit: str, class_name: str = "") -> list[Kept]:
    """What containers take in per iteration, in a part's `unit`, by line.

    That is the line that puts it in, where that is the subject's own: of several the one that makes
    it, or else all. Of objects of a class, and where a library or a cache puts it in, it is the
    line that makes it. Only those containers count whose
    growth is steady and that have a name or an inserting line.
    """
    kept: list[Kept] = []
    for container in containers:
        if not container.steady or not (container.path or container.inserting):
            continue
        rate, inserting = container.per_iteration, container.inserting
        direct = container.inserted_by_own_code and not class_name
        for part in container.made:
            if class_name and part.type.rpartition(".")[2] != class_name:
                continue
            amount, made = rate * getattr(part, unit), part.stack or ()
            if not direct:
                kept.append(Kept(amount, made, part.type, (), container))
                continue
            # Of several lines that put something in, the one whose call made it put it in.
            calling = [entry for entry in inserting if _site_frame(entry[0]) in made]
            shares = sum(share for _, share in calling or inserting)
            kept += [
                Kept(share / shares * amount, stack, part.type, made, container)
                for stack, share in calling or inserting
            ]
        if unit in ("bytes", "large") and not class_name:
            kept += [
                Kept(rate * container.entry_bytes * share, stack, "", (), container)
                for stack, share in inserting or (((), 1.0),)
            ]
    return [entry for entry in kept if entry.amount > 0]


def containers_of(kept: Iterable[Kept]) -> tuple[GrowingContainer, ...]:
    """The containers behind `kept`, each with all that it adds per iteration, the most first."""
    found: dict[int, list[Kept]] = {}
    for entry in kept:
        found.setdefault(id(entry.container), []).append(entry)
    growing = []
    for entries in found.values():
        one = entries[0].container
        stacks = [*(stack for stack, _ in one.inserting), *(entry.stack for entry in entries)]
        stacks += [entry.made for entry in entries]
        frames = [_site_frame(stack) for stack in stacks if stack]
        growing.append(
            GrowingContainer(
                holder=one.path,
                type=one.type,
                length=one.length,
                per_iteration=one.per_iteration,
                growth=sum(entry.amount for entry in entries),
                entry_bytes=one.entry_bytes + sum(part.bytes for part in one.made),
                table=sum(entry.amount for entry in entries if not entry.kind),
                bound=one.bound,
                bounded_by=one.bounded_by,
                emptied_at=one.emptied,
                lines=tuple(dict.fromkeys(f"{frame.file}:{frame.line}" for frame in frames)),
            )
        )
    return tuple(sorted(growing, key=lambda one: -one.growth))


def _ordered(trace: Trace, grown: Sequence[_Grown], rate: float | None) -> list[_Grown]:
    """Kept before left, steady before sudden, fast before slow; of as fast ones, own code first."""
    fastest = max(entry.rate for entry in grown)
    whole = min(max(0.0, rate or 0.0), fastest)
    explained = sum(entry.totals.contained for entry in grown)
    found = sum(entry.rate for entry in grown)
    by_container = explained >= CONTAINED_SHARE * (min(rate, found) if rate else found) > 0
    tiers: dict[int, list[_Grown]] = {0: [], 1: [], 2: [], 3: []}
    for entry in grown:
        tier = 1 if entry.totals.steady(trace) else 2
        leads = entry.totals.contained >= OWN_SHARE * explained / 2
        if by_container and leads and entry.rate >= OWN_SHARE * fastest:
            tier = 0
        if entry.rate < NEXT_TO_NOTHING * whole:
            tier = 3
        tiers[tier].append(entry)
    ordered = [entry for tier in tiers.values() for entry in _by_rate(trace, tier)]
    if not ordered[0].frame.is_own:  # a library's steady trickle beside an own line in two steps
        ordered.sort(
            key=lambda entry: not (entry.frame.is_own and entry.rate >= OWN_SHARE * fastest)
        )
    return ordered


def _by_rate(trace: Trace, tier: list[_Grown]) -> list[_Grown]:
    if not tier:
        return []
    fastest = max(_weighed(entry) for entry in tier)

    def order(entry: _Grown) -> tuple[bool, bool, float, float]:
        near = _weighed(entry) >= (1 - ALIKE) * fastest
        weight = entry.totals.weight / trace.first if near else 0.0
        own = entry.frame.is_own and _weighed(entry) >= OWN_SHARE * fastest
        return (not own, not near, -weight, -_weighed(entry))

    return sorted(tier, key=order)


def _weighed(entry: _Grown) -> float:
    return entry.totals.contained or entry.rate


def _site_frame(stack: Sequence[TraceFrame]) -> TraceFrame:
    """The innermost frame of the subject's own code; else the innermost."""
    for frame in stack:
        if frame.is_own:
            return _with_line(frame)
    return stack[0] if stack else TraceFrame("", 0, "")


def _with_line(frame: TraceFrame) -> TraceFrame:
    """What a call makes before its first line (cells of a closure) belongs to its `def`."""
    if frame.line <= 0 and frame.function:
        spans = [span for span in _functions(frame.file) if span[2] == frame.function]
        frame = frame._replace(line=spans[0][0] if spans else 0)
    # Tracers differ in whether they know the function: one line is one place.
    return frame._replace(function=function_at(frame.file, frame.line) or frame.function)


def _site(trace: Trace, entry: _Grown, noun: str) -> Site:
    frame, totals = entry.frame, entry.totals
    stack, kind = max(totals.members, key=lambda key: totals.members[key])
    notes = []
    if noun:
        notes.append(_kinds(trace, totals, noun))
    if not frame.file:
        notes.append("no Python frame: memory or a thing of native code")
    elif not frame.is_own:
        notes.append(f"library code ({frame.owner}) with no own line on its stack")
    elif stack and not stack[0].is_own and stack[0].owner != INTERPRETER:
        notes.append(f"inside {stack[0].owner}, at {stack[0].place}")
    if detail := totals.details.get((stack, kind)):
        notes.append(detail)
    maker = max(totals.makers, key=lambda made: totals.makers[made], default=frame)
    of_note = totals.contained >= HOLDER_SHARE * entry.rate
    if of_note and (maker.file, maker.line) != (frame.file, frame.line) and maker.line:
        notes.append(f"made at {maker.place}")
    holder = max(totals.holders, key=lambda path: totals.holders[path], default="")
    if holder and totals.holders[holder] >= HOLDER_SHARE * entry.rate:
        notes.append(f"held by {totals.containers.get(holder, holder)}")
    else:
        holder = ""
    return Site(
        file=frame.file,
        line=frame.line,
        function=frame.function,
        per_iteration=entry.rate,
        stack=tuple(_place(item) for item in _shown(stack)),
        note="; ".join(note for note in notes if note),
        holder=holder,
        process=trace.process,
        is_jump=not totals.steady(trace),
    )


def _kinds(trace: Trace, totals: SiteTotals, noun: str) -> str:
    rates: defaultdict[str, float] = defaultdict(float)
    for (_, kind), amount in totals.members.items():
        rates[kind] += amount / trace.first if totals.first > 0 else amount
    grown = sorted(
        ((rate, kind) for kind, rate in rates.items() if kind and rate > 0), reverse=True
    )
    return f"{noun}: " + ", ".join(f"{rate:.3g} {kind} per iteration" for rate, kind in grown[:3])


def _shown(stack: Iterable[TraceFrame]) -> list[TraceFrame]:
    """The stack as the subject's author knows it: without how the interpreter starts a program."""
    kept = list(stack)
    while kept and kept[-1].owner == INTERPRETER:
        kept.pop()
    return kept[:MOST_FRAMES]


def _place(frame: TraceFrame) -> Place:
    function = frame.function or function_at(frame.file, frame.line)
    return Place(frame.file, frame.line, function)


def function_at(file: str, line: int) -> str:
    """The innermost function around that line, as its source has it; empty if unknown."""
    spans = [span for span in _functions(file) if span[0] <= line <= span[1]]
    return max(spans)[2] if spans else ("<module>" if _functions(file) else "")


@lru_cache(maxsize=256)
def _functions(file: str) -> tuple[tuple[int, int, str], ...]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(
        (node.lineno, node.end_lineno or node.lineno, node.name)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
