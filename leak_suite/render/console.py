"""Renders a result for a terminal: the verdict first, then metrics, sites and blind spots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from leak_suite.compare import Comparison
from leak_suite.fit.result import FitResult
from leak_suite.render.comparison import comparison_console
from leak_suite.render.document import Document, Lines
from leak_suite.render.document import Table as DocumentTable
from leak_suite.render.fit import fit_console
from leak_suite.render.renderer import Renderer, RenderSettings
from leak_suite.render.string_console import StringConsole
from leak_suite.render.summary import (
    OUTPUT_TITLE,
    agents_sentence,
    also_growing,
    bytes_only,
    callers,
    failed_steps,
    format_growth,
    format_min_detectable,
    format_site,
    format_site_growth,
    format_site_note,
    grouped_by_cause,
    headline,
    in_process,
    not_observed,
    notes,
    sorted_findings,
)
from leak_suite.result import Finding, Outcome, RunResult
from leak_suite.units import format_duration, format_value

__all__ = ["ConsoleRenderer"]

_FRAMES = 6
"""Frames of a stack that are shown; the run file has all of them."""
_STYLES = {
    Outcome.GROWING: "bold red",
    Outcome.OVER_BUDGET: "bold red",
    Outcome.INCONCLUSIVE: "bold yellow",
    Outcome.STABLE: "green",
}


class ConsoleRenderer(Renderer):
    """The report that `leak-suite run` prints; no line is wider than asked."""

    name = "console"
    extension = ".txt"

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        terminal = StringConsole(width=settings.width, colour=settings.colour)
        findings = sorted_findings(result)
        terminal.print(Text(headline(result), _STYLES[result.outcome]))
        if (first := findings[:1]) and first[0].outcome is Outcome.GROWING and first[0].sites:
            terminal.print(Text(f"from {format_site(first[0].sites[0])}", "bold"))
        took = format_duration(result.seconds)
        terminal.print(Text(f"{result.subject}: {result.iterations:,} iterations in {took}"))
        if sentence := agents_sentence(result):
            terminal.print(Text(sentence))
        for sentence in notes(result):
            terminal.print(Text(sentence, "bold"))
        for sentence in failed_steps(result):
            terminal.print(Text(sentence, "bold yellow"))
        if findings:
            terminal.print()
            terminal.print(_table(findings))
        shown: set[str] = set()
        explained = [f for f in findings if f.outcome is not Outcome.STABLE or f.sites]
        for group in grouped_by_cause(explained):
            for line in _explained(group, shown):
                terminal.print(line)
        if output := result.details.subject_output:
            terminal.print(Text(f"\n{OUTPUT_TITLE}", "bold"))
            for text in output.splitlines():
                terminal.print(_indented(2, text))
        if sentences := not_observed(result):
            terminal.print(Text("\nThis run would not have seen", "bold"))
            for sentence in sentences:
                terminal.print(_indented(2, sentence))
        return terminal.text()

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        return fit_console(result, width=settings.width, colour=settings.colour)

    def render_comparison(self, comparison: Comparison, settings: RenderSettings) -> str:
        """See Renderer."""
        return comparison_console(comparison)

    def render_document(self, document: Document, settings: RenderSettings) -> str:
        """See Renderer. Lines that are to be copied are not broken, however long they are."""
        terminal = StringConsole(width=settings.width, colour=settings.colour)
        terminal.print(Text(document.headline, _STYLES[document.outcome]))
        terminal.print(Text(document.subject))
        for part in document.parts:
            if isinstance(part, DocumentTable):
                terminal.print(Text(f"\n{part.title}", "bold"))
                terminal.print(_document_table(part))
            elif isinstance(part, Lines):
                terminal.print(Text(f"\n{part.title}", "bold"))
                for line in part.lines:
                    terminal.print(Text(f"  {line}"), soft_wrap=True)
        if document.sentences:
            terminal.print()
        for sentence in document.sentences:
            terminal.print(Text(sentence))
        return terminal.text()


def _document_table(part: DocumentTable) -> Table:
    table = Table(
        box=None,
        padding=(0, 2, 0, 0),
        header_style="bold",
        pad_edge=False,
        show_header=any(part.head),
    )
    for number, name in enumerate(part.head):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in part.rows:
        table.add_row(*map(Text, row))
    return table


def _table(findings: Iterable[Finding]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("metric", overflow="fold")
    table.add_column("outcome", no_wrap=True)
    table.add_column("rate", justify="right")
    table.add_column("min.\ndetectable", justify="right")
    table.add_column("peak", justify="right")
    table.add_column("cause", overflow="fold")
    for finding in findings:
        peak, unit = finding.peak, bytes_only(finding.unit)
        table.add_row(
            finding.metric,
            Text(finding.outcome.value, _STYLES[finding.outcome]),
            _rate(finding, unit),
            format_min_detectable(finding),
            "" if peak is None else format_value(peak, unit),
            # The cause of an inconclusive finding is a sentence, and stands below the table.
            "" if finding.outcome is Outcome.INCONCLUSIVE else finding.cause_text,
        )
    return table


def _rate(finding: Finding, unit: str) -> str:
    """The rate, and under that of a metric that is not stable its interval."""
    known = replace(finding, unit=unit)
    if finding.outcome is Outcome.STABLE:
        known = replace(known, interval=None)
    return format_growth(known).replace(" [", "\n[")


def _explained(group: Sequence[Finding], shown: set[str]) -> list[Text | Padding]:
    """Why the first metric of a cause is not stable, its sites, and the other metrics.

    The stack of a site that is in `shown` is not printed again.
    """
    first, *others = group
    title = Text(f"\n{first.metric}{in_process(first)}", "bold")
    lines: list[Text | Padding] = [title.append(f"  {first.reason or first.cause}", "none")]
    for site in first.sites:
        speed = format_site_growth(site, first.unit)
        lines.append(_indented(2, f"{format_site(site)}  {speed}".rstrip()))
        if format_site(site) in shown:
            continue
        shown.add(format_site(site))
        if note := format_site_note(site):
            lines.append(_indented(4, note))
        lines += [_indented(4, str(place), "dim") for place in callers(site)[:_FRAMES]]
    lines += [_indented(2, line) for line in also_growing(others)]
    return lines


def _indented(columns: int, text: str, style: str = "none") -> Padding:
    return Padding(Text(text, style, overflow="fold"), (0, 0, 0, columns))
