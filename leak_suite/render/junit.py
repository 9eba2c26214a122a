"""Renders a result as JUnit XML, and gives the pairs that a pytest session's JUnit file has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape, quoteattr

from leak_suite.compare import Comparison
from leak_suite.fit.result import FitResult
from leak_suite.render.document import Document
from leak_suite.render.problems import ReportedProblem, problems
from leak_suite.render.renderer import Renderer, RenderSettings
from leak_suite.render.summary import (
    failed_steps,
    format_growth,
    format_site,
    notes,
    sorted_findings,
    verdict_sentence,
)
from leak_suite.result import Finding, Outcome, RunResult

__all__ = ["JunitRenderer", "junit_properties"]

_SITES = 3  # of each metric
_WHOLE = "verdict"
"""The case of a run that failed, or could not judge, as a whole."""
_TAGS = {"failure": "failures", "error": "errors", "skipped": "skipped"}
"""What can stand in a case, and the attribute of a suite that counts it."""


class JunitRenderer(Renderer):
    """A case for each metric or measure, and one failure a cause.

    Of the metrics that show one cause the leading one fails; the others are skipped and say which.
    What could not be judged is an error, not a failure.
    """

    name = "junit"
    extension = ".xml"

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        found = problems(result, settings.root)
        names = dict.fromkeys(finding.metric for finding in sorted_findings(result))
        why = {f.metric: f.reason or f.cause_text for f in result.findings if _is_unclear(f)}
        cases = _cases(result.subject, names, found, why)
        return _suite(result.subject, cases, result.seconds, junit_properties(result))

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        name = f"fits in {result.limit.name}"
        cases = _cases(result.subject, [name], problems(result), {}, whole=name)
        return _suite(result.subject, cases, result.seconds)

    def render_comparison(self, comparison: Comparison, settings: RenderSettings) -> str:
        """See Renderer."""
        found = problems(comparison)
        cases: list[str] = []
        for workload in dict.fromkeys(change.workload for change in comparison.changes):
            changes = [change for change in comparison.changes if change.workload == workload]
            own = [one for one in found if one.subject == workload and one.is_failure]
            unknown = {c.measure: c.reason for c in changes if c.kind == "unknown"}
            cases += _cases(workload, (change.measure for change in changes), own, unknown)
        whole = [one for one in found if not one.is_failure]
        cases += _cases("comparison", [], whole, {})
        return _suite("comparison", cases, 0.0)

    def render_document(self, document: Document, settings: RenderSettings) -> str:
        """See Renderer."""
        found = problems(document)
        cases = _cases(document.subject, [_WHOLE], found, {})
        return _suite(document.subject, cases, 0.0)


def junit_properties(result: RunResult) -> tuple[tuple[str, str], ...]:
    """The outcome and reason; then metric, rate and sites of each finding that is not stable."""
    pairs = [("outcome", result.outcome.value), ("reason", verdict_sentence(result))]
    for finding in sorted_findings(result):
        if finding.outcome is Outcome.STABLE:
            continue
        pairs.append(("metric", f"{finding.metric}: {finding.outcome.value}"))
        if finding.rate is not None:
            pairs.append(("rate", f"{finding.metric}: {format_growth(finding)} per iteration"))
        pairs += [("site", f"{finding.metric}: {format_site(s)}") for s in finding.sites[:_SITES]]
    pairs += [("failed_step", sentence) for sentence in failed_steps(result)]
    pairs += [("note", sentence) for sentence in notes(result)]
    return tuple((f"leak_suite.{name}", value) for name, value in pairs)


def _is_unclear(finding: Finding) -> bool:
    return finding.outcome is Outcome.INCONCLUSIVE


def _cases(
    subject: str,
    names: Iterable[str],
    found: Iterable[ReportedProblem],
    unclear: Mapping[str, str],
    whole: str = _WHOLE,
) -> list[str]:
    """A case for each problem and for each other of `names`; `whole` where a problem names none."""
    cases: dict[str, str] = {}
    others: dict[str, str] = {}
    led: Counter[str] = Counter()
    for problem in found:
        leading = problem.measures[0] if problem.is_failure and problem.measures else whole
        # Two causes may lead with the same metric, each in a process of its own.
        led[leading] += 1
        cases[f"{leading} #{led[leading]}" if led[leading] > 1 else leading] = _failed(problem)
        if problem.is_failure:
            others |= dict.fromkeys(problem.measures[1:], leading)
    for name in dict.fromkeys(names):
        if name in others:
            cases.setdefault(name, _skipped(f"the same cause as {others[name]}"))
        elif name in unclear:
            cases.setdefault(name, _skipped(f"could not be judged: {unclear[name]}"))
        else:
            cases.setdefault(name, "")
    return [
        f"<testcase classname={_quoted(subject)} name={_quoted(name)}>{inner}</testcase>"
        for name, inner in cases.items()
    ]


def _failed(problem: ReportedProblem) -> str:
    tag = "failure" if problem.is_failure else "error"
    place = problem.place
    at = "" if place is None else f"{place.file}:{place.line}: "
    attributes = f"type={_quoted(problem.rule)} message={_quoted(at + problem.lines[0])}"
    return f"<{tag} {attributes}>{escape(_printable(problem.message))}</{tag}>"


def _skipped(why: str) -> str:
    return f"<skipped message={_quoted(why)}/>"


def _suite(
    name: str, cases: list[str], seconds: float, properties: Iterable[tuple[str, str]] = ()
) -> str:
    counts = {tag: sum(f"><{tag} " in case for case in cases) for tag in _TAGS}
    figures = f'tests="{len(cases)}" ' + " ".join(
        f'{_TAGS[tag]}="{count}"' for tag, count in counts.items()
    )
    attributes = f'name={_quoted(name)} {figures} time="{seconds:.3f}"'
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<testsuites {figures}>"]
    lines.append(f"<testsuite {attributes}>")
    lines += _written(properties)
    return "\n".join([*lines, *cases, "</testsuite>", "</testsuites>"]) + "\n"


def _written(properties: Iterable[tuple[str, str]]) -> Iterator[str]:
    rows = [f"<property name={_quoted(n)} value={_quoted(v)}/>" for n, v in properties]
    if rows:
        yield from ("<properties>", *rows, "</properties>")


def _quoted(text: str) -> str:
    return quoteattr(_printable(text))


def _printable(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text)
