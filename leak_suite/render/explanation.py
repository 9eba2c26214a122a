"""An explanation, as a document."""

from __future__ import annotations

from collections.abc import Iterator

from leak_suite.explain.remedies import REMEDIES, setting_lines
from leak_suite.explain.result import PARTS, Explanation, GrowthDriver, MemoryReading
from leak_suite.render.document import Bar, Document, Lines, Part, Picture, Table
from leak_suite.units import format_duration, format_number, format_rate, format_value

__all__ = ["explanation_document"]

_SHOWN = 64 * 1024
"""Parts that never reach this many bytes are left out of the table."""


def explanation_document(result: Explanation) -> Document:
    """The word, the table of parts, the picture, and what helps."""
    parts: list[Part] = []
    if result.readings:
        parts.append(_table(result.readings))
        parts.append(_picture(result.readings))
    if copies := _copies(result.readings):
        parts.append(copies)
    if result.growth is not None:
        parts.append(_phases(result.growth))
    if result.trials:
        parts.append(_trials(result))
    best = next((one for one in REMEDIES if one.name == result.best), None)
    if best is not None:
        parts += [Lines(f"{best.name}: {where}", text) for where, text in setting_lines(best)]
    elif result.remedy_lines:
        parts.append(Lines("What helps", result.remedy_lines))
    return Document(
        subject=result.subject,
        outcome=result.outcome,
        word=result.word.value,
        why=result.why,
        sentences=tuple(_sentences(result)),
        parts=tuple(parts),
        command=result.command,
    )


def _sentences(result: Explanation) -> Iterator[str]:
    if result.growth is not None:
        yield _grows_with(result.growth)
    if result.trials:
        yield _tried(result)
    if result.remedy:
        yield result.remedy
    yield f"The verdict: {result.verdict}"
    if result.readings:
        last = result.readings[-1]
        yield (
            f"Read before and during {last.iterations:,} iterations in "
            f"{format_duration(last.seconds)} of work, with nothing collected or trimmed."
        )
        if last.arenas > 1:
            yield f"The C library has {last.arenas} arenas."
    yield from result.notes


def _table(readings: tuple[MemoryReading, ...]) -> Table:
    first, middle, last = readings[0], readings[len(readings) // 2], readings[-1]
    rows = []
    for name, label in PARTS.items():
        values = [one.parts.get(name) for one in (first, middle, last)]
        if all((value or 0.0) < _SHOWN for value in values):
            continue
        rows.append((label, *map(_bytes, values), _grown(values[1], values[2])))
    totals = (first.total, middle.total, last.total)
    rows.append(("in all", *map(_bytes, totals), _grown(middle.total, last.total)))
    head = ("", "at the start", "half way", "at the end", "grew since half way")
    return Table("What memory is made of", head, tuple(rows))


def _picture(readings: tuple[MemoryReading, ...]) -> Picture:
    return Picture(
        "How it changed",
        tuple(
            Bar(
                f"after {one.iterations:,} iterations",
                tuple(
                    (label, one.parts[name])
                    for name, label in PARTS.items()
                    if one.parts.get(name, 0.0) >= _SHOWN
                ),
            )
            for one in readings
        ),
    )


def _copies(readings: tuple[MemoryReading, ...]) -> Table | None:
    if not readings or not readings[-1].copies:
        return None
    begun: dict[str, float] = {}
    for one in readings:
        for process, value in one.copies.items():
            begun.setdefault(process, value)
    rows = tuple(
        (process, _bytes(begun[process]), _bytes(value))
        for process, value in readings[-1].copies.items()
    )
    return Table("Copied by each forked process", ("", "when first seen", "at the end"), rows)


def _phases(growth: GrowthDriver) -> Table:
    rows = tuple(
        (
            one.name,
            f"{one.iterations:,}",
            format_duration(one.seconds),
            format_value(one.growth, growth.unit),
        )
        for one in growth.phases
    )
    return Table("Work or clock?", ("", "iterations", "time", f"growth of {growth.metric}"), rows)


def _grows_with(growth: GrowthDriver) -> str:
    work = format_rate(growth.per_iteration, growth.unit)
    clock = f"{format_value(growth.per_second, growth.unit)} a second"
    if growth.kind == "clock":
        return f"It grows with time, whether or not it is used: {growth.metric} by {clock}."
    if growth.kind == "work":
        return f"It grows with the work: {growth.metric} by {work}, and not while it idles."
    return f"It grows both with the work and with time: {growth.metric} by {work}, and by {clock}."


def _trials(result: Explanation) -> Table:
    rows = []
    for one in result.trials:
        if one.not_tried or one.failed:
            why = one.not_tried or f"failed: {one.failed}"
            rows.append((one.name, "", "", "", "", why))
            continue
        said = "works" if one.works else ""
        pace = "?" if one.per_second is None else format_number(one.per_second)
        slope = _bytes(None if one.slope is None else max(0.0, one.slope))
        rows.append((one.name, slope, _bytes(one.level), _bytes(one.peak), pace, said))
    head = ("", "growth an iteration", "level", "peak", "iterations a second", "")
    return Table("Remedies that were tried", head, tuple(rows))


def _tried(result: Explanation) -> str:
    if not result.best:
        return "None of the remedies that could be tried takes half of the growth away."
    best = next(one for one in result.trials if one.name == result.best)
    none = result.trials[0]
    level = f"{_bytes(best.level)} instead of {_bytes(none.level)}"
    if not best.per_second or not none.per_second:
        return f"{result.best} works: {level} in the end."
    pace = best.per_second / none.per_second
    return f"{result.best} works: {level} in the end, at {pace:.0%} of the pace."


def _bytes(value: float | None) -> str:
    return format_value(value, "bytes")


def _grown(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "?"
    growth = after - before
    return ("+" if growth > 0 else "") + format_value(growth, "bytes")
