"""Which word fits: pure, from the verdict of a run and the readings of what memory is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leak_suite.clauses import Part
from leak_suite.explain.result import PARTS, MemoryReading, Word
from leak_suite.metrics import metric_named
from leak_suite.result import Cause, Finding, Outcome, RunResult
from leak_suite.units import MIB, format_value

__all__ = ["Answer", "answer"]

_GROUPS: Mapping[Word, tuple[str, ...]] = {
    Word.ALLOCATOR: ("python_kept", "arenas_kept"),
    Word.FORK_COPIES: ("copies",),
    Word.PAGE_CACHE: ("page_cache",),
}
_IN_USE = ("python_used", "native_used", "other_anon")
_LITTLE = 1.0 * MIB
"""Less growth of what is in use is no sign of a leak in the half of a short look."""
_LEAST_GROWTH = 12.0 * MIB
"""What first use of an interpreter and of its libraries may add to any of them."""
_MOST_OF_IT = 0.5
_LARGE, _LARGE_SHARE = 32.0 * MIB, 0.3
"""Freed memory that is kept is the answer, though it grows no more, from so many bytes and from
such a share of all that the processes hold."""


@dataclass(frozen=True)
class Answer:
    """The word, why, and the part that it is about; empty where it is about none."""

    word: Word
    why: str
    part: str = ""


def answer(verdict: RunResult, readings: Sequence[MemoryReading]) -> Answer:
    """The word for a program that was judged and looked at."""
    growing = [f for f in verdict.findings if f.outcome is Outcome.GROWING]
    filling = next((f for f in verdict.findings if f.cause is Cause.FILLING), None)
    live = [f for f in growing if not metric_named(f.metric).resident]
    if live:
        return Answer(Word.LEAK, _said(live[0]), _part_of(live[0], readings))
    if filling is not None:
        return Answer(Word.FILLING, _said(filling), "python_used")
    if not readings:
        return Answer(Word.UNCLEAR, verdict.reason or "nothing could be read")
    first, last = readings[0], readings[-1]
    middle = readings[len(readings) // 2]
    if growing:  # resident memory alone: what of it goes on growing?
        found = _dominant(middle, last)
        if found is None and _growth(middle, last, _IN_USE) < _LITTLE:
            found = _dominant(first, last)
        return found or Answer(Word.LEAK, _said(growing[0]), _most(middle, last))
    found = _dominant(first, last) or _kept(last)
    if found is not None:
        return found
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return Answer(Word.UNCLEAR, verdict.reason or "no verdict could be reached")
    return Answer(Word.STEADY, _steady(first, last))


def _said(finding: Finding) -> str:
    return finding.reason_of(Part.VERDICT) or f"{finding.metric}: {finding.outcome.value}"


def _part_of(finding: Finding, readings: Sequence[MemoryReading]) -> str:
    if len(readings) < 2 or finding.unit != "bytes" or not metric_named(finding.metric).live:
        return "python_used" if finding.metric in ("blocks", "gc_objects") else ""
    return _most(readings[0], readings[-1])


def _growth(before: MemoryReading, after: MemoryReading, parts: Iterable[str]) -> float:
    return sum(after.parts.get(name, 0.0) - before.parts.get(name, 0.0) for name in parts)


def _most(before: MemoryReading, after: MemoryReading) -> str:
    """The part that grew most."""
    return max(PARTS, key=lambda name: _growth(before, after, [name]))


def _dominant(before: MemoryReading, after: MemoryReading) -> Answer | None:
    """The word of what grew by most of all growth, if that is more than first use adds."""
    grown = sum(max(0.0, _growth(before, after, [name])) for name in PARTS)
    word = max(_GROUPS, key=lambda one: _growth(before, after, _GROUPS[one]))
    growth = _growth(before, after, _GROUPS[word])
    if growth < _LEAST_GROWTH or growth < _MOST_OF_IT * grown:
        return None
    part = max(_GROUPS[word], key=lambda name: _growth(before, after, [name]))
    more = f"{format_value(growth, 'bytes')} of {format_value(grown, 'bytes')} growth"
    done = format_value(after.iterations - before.iterations, "")
    return Answer(word, f"{more} in {done} iterations: {PARTS[part]}", part)


def _kept(last: MemoryReading) -> Answer | None:
    """The allocator, if much of what the processes hold was freed and is kept."""
    parts = _GROUPS[Word.ALLOCATOR]
    kept = sum(last.parts.get(name, 0.0) for name in parts)
    held = sum(v for name, v in last.parts.items() if name not in ("page_cache", "kernel"))
    if kept < _LARGE or kept < _LARGE_SHARE * held:
        return None
    part = max(parts, key=lambda name: last.parts.get(name, 0.0))
    of = f"{format_value(kept, 'bytes')} of the {format_value(held, 'bytes')} that it holds"
    return Answer(Word.ALLOCATOR, f"{of}: {PARTS[part]}", part)


def _steady(first: MemoryReading, last: MemoryReading) -> str:
    growth = format_value(max(0.0, last.total - first.total), "bytes")
    done = format_value(last.iterations, "")
    return f"nothing goes on growing; {growth} came with first use, in {done} iterations"
