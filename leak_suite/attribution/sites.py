"""From the records of traced runs to allocation sites, ranked by growth per iteration. Pure."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from leak_suite.attribution.ownership import Ownership
from leak_suite.result import Site

__all__ = ["JUMP", "Amount", "Frame", "Traced", "rank"]

MOST_SITES = 8
LEAST_SHARE = 0.02
"""A site that grew by less than this share of the first one is not worth a line."""
STEADY_SHARE = 0.25
"""What the shorter window must show of a site's growth for it to count as steady."""
MOST_FRAMES = 25
NEXT_TO_NOTHING = 0.05
"""A line with less than this share of the growth does not stand before one that has more."""
JUMP = "grew in one of two windows only: perhaps one jump"
ALIKE = 0.2
"""Lines within this share of the fastest are ordered by their bytes first."""
OWN_SHARE = 0.3
"""Own code with at least this share of the fastest stands before a library without own callers."""


class Frame(NamedTuple):
    """One frame of a Python stack; `function` is empty where the tracer did not know it."""

    file: str
    line: int
    function: str


class Amount(NamedTuple):
    """What one stack holds at the end of a run: bytes, allocations or things.

    `weight` (bytes, where they are known) decides between lines of which as many grow.
    """

    value: float
    stack: tuple[Frame, ...]
    kind: str = ""
    detail: str = ""
    weight: float = 0.0


@dataclass(frozen=True)
class Traced:
    """The amounts of one traced run of so many iterations after warm-up."""

    iterations: int
    amounts: tuple[Amount, ...]


@dataclass
class _Place:
    """A line, with what it held at the end of each run."""

    totals: list[float]
    weights: list[float]
    members: dict[tuple[tuple[Frame, ...], str], list[float]] = field(default_factory=dict)
    details: dict[tuple[tuple[Frame, ...], str], str] = field(default_factory=dict)


def rank(
    runs: Sequence[Traced], owner: Ownership, *, rate: float | None = None, noun: str = ""
) -> tuple[Site, ...]:
    """The lines that hold more at the end of a longer run, the fastest growing first.

    The last two runs give the rate; an earlier, shorter one tells steady growth from one jump.
    A line that grew in the last window only comes after all that grew in both, but for those that
    are next to nothing of the finding's `rate`. `noun` is what is counted ("objects"), where the
    kinds of things at a line shall be told in its note.
    """
    runs = sorted(runs, key=lambda run: run.iterations)
    if len(runs) < 2 or runs[-1].iterations == runs[-2].iterations:
        raise ValueError("growth needs two runs of different length")
    lengths = [run.iterations for run in runs]
    grown = [
        _Grown(_rate(lengths, place.totals), place, frame, owner.is_own(frame.file))
        for frame, place in _places(runs, owner).items()
    ]
    grown = [entry for entry in grown if entry.rate > 0]
    # What has no line is told only where nothing has one.
    grown = [entry for entry in grown if entry.frame.line] or grown
    if not grown:
        return ()
    grown = _ordered(grown, lengths, rate)
    least = LEAST_SHARE * grown[0].rate
    return tuple(
        _site(entry.frame, entry.place, lengths, owner, noun)
        for entry in grown
        if entry.rate >= least
    )[:MOST_SITES]


class _Grown(NamedTuple):
    """A line that holds more at the end of the longest run, and how much per iteration."""

    rate: float
    place: _Place
    frame: Frame
    own: bool


def _ordered(grown: Sequence[_Grown], lengths: Sequence[int], rate: float | None) -> list[_Grown]:
    """Steady before sudden, fast before slow; of lines as fast, own code and more bytes first."""
    fastest = max(entry.rate for entry in grown)
    # Where nothing comes near the finding's rate, the lines are compared with one another.
    whole = min(max(0.0, rate or 0.0), fastest)
    tiers: dict[int, list[_Grown]] = {0: [], 1: [], 2: []}
    for entry in grown:
        sudden = not _steady(lengths, entry.place.totals)
        tiers[2 if entry.rate < NEXT_TO_NOTHING * whole else int(sudden)].append(entry)
    ordered = [entry for tier in tiers.values() for entry in _by_rate(tier, lengths)]
    if not ordered[0].own:  # a library's steady trickle beside an own line that came in two steps
        ordered.sort(key=lambda entry: not (entry.own and entry.rate >= OWN_SHARE * fastest))
    return ordered


def _by_rate(tier: list[_Grown], lengths: Sequence[int]) -> list[_Grown]:
    if not tier:
        return []
    fastest = max(entry.rate for entry in tier)

    def order(entry: _Grown) -> tuple[bool, bool, float, float]:
        near = entry.rate >= (1 - ALIKE) * fastest
        weight = _rate(lengths, entry.place.weights) if near else 0.0
        # The interpreter's free lists hand a library what the subject's own line made room for,
        # so an own line of the same order goes first: it is the one that its author can change.
        own = entry.own and entry.rate >= OWN_SHARE * fastest
        return (not own, not near, -weight, -entry.rate)

    return sorted(tier, key=order)


def _places(runs: Sequence[Traced], owner: Ownership) -> dict[Frame, _Place]:
    places: defaultdict[Frame, _Place] = defaultdict(
        lambda: _Place([0.0] * len(runs), [0.0] * len(runs))
    )
    for index, run in enumerate(runs):
        for amount in run.amounts:
            place = places[_site_frame(amount.stack, owner)]
            place.totals[index] += amount.value
            place.weights[index] += amount.weight
            key = (amount.stack, amount.kind)
            place.members.setdefault(key, [0.0] * len(runs))[index] += amount.value
            if amount.detail:
                place.details[key] = amount.detail
    return places


def _site_frame(stack: Sequence[Frame], owner: Ownership) -> Frame:
    """The innermost frame of the subject's own code; else the innermost that is not ours."""
    seen = [frame for frame in stack if not owner.is_machinery(frame.file)]
    for frame in seen:
        if owner.is_own(frame.file):
            return _with_line(frame)
    return seen[0] if seen else Frame("", 0, "")


def _with_line(frame: Frame) -> Frame:
    """What a call makes before its first line (cells of a closure) belongs to its `def`."""
    if frame.line > 0 or not frame.function:
        return frame
    spans = [span for span in _functions(frame.file) if span[2] == frame.function]
    return frame._replace(line=spans[0][0] if spans else 0)


def _rate(lengths: Sequence[int], totals: Sequence[float]) -> float:
    return (totals[-1] - totals[-2]) / (lengths[-1] - lengths[-2])


def _steady(lengths: Sequence[int], totals: Sequence[float]) -> bool:
    if len(lengths) < 3:
        return True
    return _rate(lengths[:-1], totals[:-1]) >= STEADY_SHARE * _rate(lengths, totals)


def _site(frame: Frame, place: _Place, lengths: Sequence[int], owner: Ownership, noun: str) -> Site:
    stack, kind = max(place.members, key=lambda key: _rate(lengths, place.members[key]))
    notes = []
    if noun:
        notes.append(_kinds(place.members, lengths, noun))
    if not frame.file:
        notes.append("no Python frame: memory or a thing of native code")
    elif not owner.is_own(frame.file):
        notes.append(f"library code ({owner.package(frame.file)}) with no own line on its stack")
    elif stack and not owner.is_own(stack[0].file):
        leaf = stack[0]
        notes.append(f"inside {owner.package(leaf.file)}, at {_place(leaf)}")
    if detail := place.details.get((stack, kind)):
        notes.append(detail)
    if not _steady(lengths, place.totals):
        notes.append(JUMP)
    return Site(
        file=frame.file,
        line=frame.line,
        function=_function(frame),
        per_iteration=_rate(lengths, place.totals),
        stack=tuple(_text(item) for item in _shown(stack, owner)),
        note="; ".join(note for note in notes if note),
    )


def _kinds(
    members: Mapping[tuple[tuple[Frame, ...], str], Sequence[float]],
    lengths: Sequence[int],
    noun: str,
) -> str:
    rates: defaultdict[str, float] = defaultdict(float)
    for (_, kind), totals in members.items():
        rates[kind] += _rate(lengths, totals)
    grown = sorted(((rate, kind) for kind, rate in rates.items() if rate > 0), reverse=True)[:3]
    return f"{noun}: " + ", ".join(f"{rate:.3g} {kind} per iteration" for rate, kind in grown)


def _shown(stack: Iterable[Frame], owner: Ownership) -> list[Frame]:
    """The stack as the subject's author knows it: without the frames of what measures."""
    kept = [frame for frame in stack if not owner.is_machinery(frame.file)]
    while kept and kept[-1].file.startswith("<"):
        kept.pop()  # the interpreter's own way of starting a program
    return kept[:MOST_FRAMES]


def _text(frame: Frame) -> str:
    return f"{_place(frame)} {_function(frame)}".rstrip()


def _place(frame: Frame) -> str:
    return f"{frame.file}:{frame.line}"


def _function(frame: Frame) -> str:
    return frame.function or function_at(frame.file, frame.line)


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
