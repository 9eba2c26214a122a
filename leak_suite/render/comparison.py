"""A comparison as text: what got worse or better first, then what stayed, then what is unknown."""

from __future__ import annotations

import html
from collections.abc import Sequence

from leak_suite.compare import Change, Comparison
from leak_suite.units import format_rate, format_value

__all__ = [
    "change_reason",
    "comparison_console",
    "comparison_headline",
    "comparison_markdown",
    "comparison_verdict",
]

_ORDER = ("regression", "unknown", "improvement", "unchanged")
_HEAD = ("", "measure", "base", "head", "change", "min. detectable")
_WORDS = {1: "REGRESSION", 2: "COULD NOT COMPARE", 0: "NO REGRESSION"}


def comparison_headline(comparison: Comparison) -> str:
    """The verdict in one line."""
    return ": ".join(comparison_verdict(comparison))


def comparison_verdict(comparison: Comparison) -> tuple[str, str]:
    """The verdict in capitals, and what it rests on in one line."""
    worse, better = comparison.of_kind("regression"), comparison.of_kind("improvement")
    word = _WORDS[comparison.status]
    if worse:
        changes = [f"{change.workload}: {change.measure} {_change(change)}" for change in worse]
        return word, "; ".join(changes)
    if comparison.status == 2:
        unknown = [f"{c.workload}: {c.measure}: {c.reason}" for c in comparison.of_kind("unknown")]
        reasons = [*comparison.problems, *unknown] or ["there was nothing to compare"]
        return word, "; ".join(reasons)
    if gone := [change for change in better if change.would_see is not None]:
        return "IMPROVED", "; ".join(_gone(change) for change in gone)
    count = len(comparison.changes)
    more = f", {len(better)} improved" if better else ""
    return word, f"{count} measures compared{more}"


def _gone(change: Change) -> str:
    """Growth that is no longer there, in a few words."""
    rate = format_rate(change.base, change.unit)
    return f"{change.workload}: {change.growth_of} no longer grows by {rate}"


def change_reason(change: Change) -> str:
    """Why a change is what it is, with the place and the power of the runs that prove a fix."""
    parts = [change.reason] if change.reason else []
    if change.would_see is not None and change.kind == "improvement":
        parts.append(f"{_share(change.would_see)} of it would have been seen")
    if change.site is not None:
        verb = "at" if change.kind == "regression" else "it was at"
        parts.append(f"{verb} {change.site}")
    return "; ".join(parts)


def _share(share: float) -> str:
    """A share as people say it: `a tenth`, `2%`, `less than 1%`."""
    if share < 0.01:
        return "less than 1%"
    return "a tenth" if 0.095 <= share < 0.105 else f"{share:.0%}"


def comparison_console(comparison: Comparison) -> str:
    """The verdict, a table for each workload, and remarks; as wide as the tables are."""
    lines = [comparison_headline(comparison)]
    for workload, rows in _tables(comparison):
        table = [_HEAD, *rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(_HEAD))]
        lines += ["", workload]
        lines += [_aligned(row, widths) for row in table]
    lines += _remarks(comparison, "  ")
    return "\n".join(lines) + "\n"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return ("  " + "  ".join(cells)).rstrip()


def comparison_markdown(comparison: Comparison) -> str:
    """The same as a comment on a pull request."""
    parts = [f"### leak-suite compare: {_text(comparison_headline(comparison))}"]
    for workload, rows in _tables(comparison):
        parts.append(f"`{workload.replace('`', '')}`")
        table = [_HEAD, ("---",) * len(_HEAD), *(tuple(map(_text, row)) for row in rows)]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in table))
    if remarks := _remarks(comparison, "- "):
        parts.append("\n".join(_text(line) for line in remarks if line))
    return "\n\n".join(parts) + "\n"


def _tables(comparison: Comparison) -> list[tuple[str, list[tuple[str, ...]]]]:
    """The rows by workload. Growth that is neither there nor was is one row for all metrics."""
    by_workload: dict[str, list[Change]] = {}
    for change in comparison.changes:
        by_workload.setdefault(change.workload, []).append(change)
    return [(name, _rows(changes)) for name, changes in by_workload.items()]


def _rows(changes: Sequence[Change]) -> list[tuple[str, ...]]:
    listed = [c for c in changes if not _is_at_rest(c)]
    rows = [_row(c) for c in sorted(listed, key=lambda c: _ORDER.index(c.kind))]
    if others := len(changes) - len(listed):
        rows.append(("unchanged", f"growth of {others} metrics", "none", "none", "", ""))
    return rows


def _is_at_rest(change: Change) -> bool:
    return (
        bool(change.growth_of)
        and change.kind == "unchanged"
        and not change.base
        and not change.head
    )


def _row(change: Change) -> tuple[str, ...]:
    each = "/iteration" if change.growth_of else ""

    def formatted(value: float | None) -> str:
        return f"{format_value(value, change.unit)}{each if value is not None else ''}"

    smallest = "" if change.min_detectable is None else formatted(change.min_detectable)
    base, head = formatted(change.base), formatted(change.head)
    return change.kind, change.measure, base, head, _change(change), smallest


def _change(change: Change) -> str:
    if change.difference is None:
        return "?"
    sign = "+" if change.difference > 0 else "-" if change.difference < 0 else ""
    text = f"{sign}{format_value(abs(change.difference), change.unit)}"
    if change.base and not change.growth_of:
        text += f" ({100 * change.difference / change.base:+.1f}%)"
    return text


def _remarks(comparison: Comparison, mark: str) -> list[str]:
    lines = dict.fromkeys(comparison.problems)
    for change in comparison.changes:
        if reason := change_reason(change):
            lines[f"{change.workload}: {change.measure}: {reason}"] = None
    lines |= dict.fromkeys(comparison.notes)
    return ["", *(f"{mark}{line}" for line in lines)] if lines else []


def _text(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|")
