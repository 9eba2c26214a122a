"""Renders a result as lines of `key: value`, conclusions only, for programs that read text."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from leak_suite.compare import Comparison
from leak_suite.fit.result import FitResult
from leak_suite.render.comparison import change_reason, comparison_verdict
from leak_suite.render.document import Document, Lines, Table
from leak_suite.render.problems import Judged, ReportedProblem, problems
from leak_suite.render.renderer import Renderer, RenderSettings
from leak_suite.render.summary import (
    format_min_detectable,
    notes,
    outcome_name,
    sorted_findings,
    verdict_sentence,
)
from leak_suite.result import RunResult

__all__ = ["FORM", "AgentRenderer"]

FORM = 1
"""The version of the form. Keys may be added to it; it rises where one is taken away or changed."""
_CALLERS = 3

Line = tuple[str, str]


class AgentRenderer(Renderer):
    """One fact a line, without tables and figures that decide nothing; docs/agent-format.md."""

    name = "agent"
    extension = ".txt"

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        command = shlex.join(result.details.command)
        return _text(
            [
                ("outcome", result.outcome.value),
                ("status", str(result.outcome.status)),
                ("subject", result.subject),
                ("summary", verdict_sentence(result)),
                *_causes(result, settings),
                *(("note", sentence) for sentence in notes(result)),
                *_blind(result),
                *([("repeat", command)] if command else []),
            ]
        )

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        command = shlex.join(result.command)
        return _text(
            [
                ("outcome", outcome_name(result)),
                ("status", str(result.outcome.status)),
                ("subject", result.subject),
                ("summary", result.sentence),
                *_causes(result, settings),
                *([("repeat", command)] if command else []),
            ]
        )

    def render_comparison(self, comparison: Comparison, settings: RenderSettings) -> str:
        """See Renderer."""
        word, sentence = comparison_verdict(comparison)
        better = comparison.of_kind("improvement")
        return _text(
            [
                ("outcome", word.lower()),
                ("status", str(comparison.status)),
                ("summary", sentence),
                *_causes(comparison, settings),
                *(
                    ("better", f"{one.workload}: {one.measure}: {change_reason(one)}".rstrip(": "))
                    for one in better
                ),
                *(("note", note) for note in comparison.notes),
            ]
        )

    def render_document(self, document: Document, settings: RenderSettings) -> str:
        """See Renderer."""
        tables = [part for part in document.parts if isinstance(part, Table)]
        lines = [part for part in document.parts if isinstance(part, Lines)]
        return _text(
            [
                ("outcome", document.word.lower()),
                ("status", str(document.outcome.status)),
                ("subject", document.subject),
                ("summary", document.why),
                *_causes(document, settings),
                *(("note", sentence) for sentence in document.sentences),
                *(("fact", _row(table, row)) for table in tables for row in table.rows),
                *(("do", f"{part.title}: {line}") for part in lines for line in part.lines),
            ]
        )


def _causes(result: Judged, settings: RenderSettings) -> Iterator[Line]:
    for problem in problems(result, settings.root):
        yield "cause", f"{problem.rule} in {problem.subject}"
        if problem.measures:
            yield "cause.shown-by", ", ".join(problem.measures)
        yield from _place(problem)
        for line in problem.lines:
            yield "cause.says", line


def _place(problem: ReportedProblem) -> Iterator[Line]:
    if problem.place is not None:
        place = problem.place
        yield "cause.line", f"{place.file}:{place.line} {place.function}".rstrip()
    for frame in problem.stack[1 : 1 + _CALLERS]:
        yield "cause.called-from", f"{frame.file}:{frame.line} {frame.function}".rstrip()


def _row(table: Table, row: Sequence[str]) -> str:
    """A row as `name: value, column: value`; the first value needs no name of its column."""
    name, value, *others = row
    further = zip(table.head[2:], others, strict=True)
    return f"{name}: {value}" + "".join(f", {head}: {cell}" for head, cell in further if cell)


def _blind(result: RunResult) -> Iterator[Line]:
    """What "stable" does not cover."""
    smallest = [
        f"{finding.metric} below {format_min_detectable(finding)}"
        for finding in sorted_findings(result)
        if finding.detectable_rate
    ]
    if smallest:
        yield "would-miss", f"growth per iteration of {', '.join(smallest)}"
    blind = result.details.blind
    inside = dict.fromkeys(result.details.not_observed, "it can be read from inside only")
    for metric, why in {**inside, **blind}.items():
        yield "not-read", f"{metric}: {why}"


def _text(lines: Iterable[Line]) -> str:
    """The version of the form, then the facts; a value never holds a line's end."""
    form = ("leak-suite-form", str(FORM))
    return "".join(f"{key}: {' '.join(value.split())}\n" for key, value in (form, *lines))
