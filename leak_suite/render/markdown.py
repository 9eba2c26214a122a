"""Renders a result as Markdown, in the form of a comment on a pull request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from leak_suite.clauses import Part
from leak_suite.compare import Comparison
from leak_suite.fit.result import FitResult
from leak_suite.render.comparison import comparison_markdown
from leak_suite.render.document import Document, Lines, Table
from leak_suite.render.fit import fit_facts
from leak_suite.render.renderer import Renderer, RenderSettings
from leak_suite.render.summary import (
    OUTPUT_TITLE,
    agents_sentence,
    also_growing,
    failed_steps,
    format_growth,
    format_min_detectable,
    format_site,
    format_site_growth,
    format_site_note,
    grouped_by_cause,
    in_process,
    not_observed,
    notes,
    outcome_name,
    sorted_findings,
    verdict_sentence,
)
from leak_suite.result import Cause, Finding, Outcome, RunResult
from leak_suite.result_file import Result
from leak_suite.units import format_duration, format_value

__all__ = ["MarkdownRenderer"]

_HEAD = ("metric", "outcome", "per iteration", "min. detectable", "peak", "cause")


class MarkdownRenderer(Renderer):
    """The verdict as a heading, the metrics as a table, sites and blind spots folded in below."""

    name = "markdown"
    extension = ".md"

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        parts = _opening(result)
        if sentence := agents_sentence(result):
            parts.append(_text(sentence))
        parts += [_text(sentence) for sentence in notes(result)]
        parts += [f"**{_text(sentence)}**" for sentence in failed_steps(result)]
        findings = sorted_findings(result)
        if findings:
            parts.append(_table(findings))
        causes = grouped_by_cause(findings)
        parts += [_sites(group) for group in causes if group[0].sites]
        if output := result.details.subject_output:
            parts.append(_folded(OUTPUT_TITLE, ["", "```text", *output.splitlines(), "```"]))
        if sentences := [f"- {_text(line)}" for line in not_observed(result)]:
            parts.append(_folded("What this run would not have seen", sentences))
        return "\n\n".join(parts) + "\n"

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        facts = [f"- {_text(name)}: {_text(value)}" for name, value in fit_facts(result)]
        return "\n\n".join([*_opening(result), "\n".join(facts)]) + "\n"

    def render_comparison(self, comparison: Comparison, settings: RenderSettings) -> str:
        """See Renderer."""
        return comparison_markdown(comparison)

    def render_document(self, document: Document, settings: RenderSettings) -> str:
        """See Renderer."""
        parts = [
            f"### leak-suite: {_text(document.word)}",
            f"{_code(document.subject)}: {_text(document.why)}",
        ]
        for part in document.parts:
            if isinstance(part, Table):
                marks = tuple("---:" if number else "---" for number in range(len(part.head)))
                cells = [tuple(map(_text, row)) for row in (part.head, *part.rows)]
                lines = [f"| {' | '.join(row)} |" for row in (cells[0], marks, *cells[1:])]
                parts += [f"**{_text(part.title)}**", "\n".join(lines)]
            elif isinstance(part, Lines):
                parts += [f"**{_text(part.title)}**", "\n".join(["```text", *part.lines, "```"])]
        parts += [_text(sentence) for sentence in document.sentences]
        return "\n\n".join(parts) + "\n"


def _opening(result: Result) -> list[str]:
    took = format_duration(result.seconds)
    return [
        f"### leak-suite: {outcome_name(result)}",
        f"{_code(result.subject)}, {result.iterations:,} iterations in {took}: "
        f"{_text(verdict_sentence(result))}",
    ]


def _table(findings: Iterable[Finding]) -> str:
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(finding) for finding in findings)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(finding: Finding) -> tuple[str, ...]:
    outcome = finding.outcome.value
    cells = (
        finding.metric,
        outcome,
        format_growth(finding),
        format_min_detectable(finding),
        "" if finding.peak is None else format_value(finding.peak, finding.unit),
        finding.cause_text,
    )
    bold = finding.outcome is not Outcome.STABLE
    return tuple(f"**{_text(c)}**" if bold and c == outcome else _text(c) for c in cells)


def _sites(group: Sequence[Finding]) -> str:
    first, *others = group
    lines = [_text(first.reason_of(Part.VERDICT)), ""] if first.cause is Cause.FILLING else []
    for site in first.sites:
        speed = format_site_growth(site, first.unit)
        detail = " · ".join(part for part in (speed, format_site_note(site)) if part)
        lines.append(f"- {_code(format_site(site))} {_text(detail)}".rstrip())
        lines += [f"  - {_code(str(place))}" for place in site.stack]
    lines += [f"- {_text(line)}" for line in also_growing(others)]
    return _folded(f"Where {first.metric}{in_process(first)} comes from", lines, opened=True)


def _folded(title: str, lines: Iterable[str], *, opened: bool = False) -> str:
    body = "\n".join(lines)
    mark = " open" if opened else ""
    return f"<details{mark}><summary>{_text(title)}</summary>\n\n{body}\n\n</details>"


def _text(text: str) -> str:
    """Text that cannot become markup, a table's column or a mention of somebody."""
    flat = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|@#~])", r"\\\1", flat)


def _code(text: str) -> str:
    """A code span, whatever backticks the text holds."""
    flat = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if "`" in flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"
