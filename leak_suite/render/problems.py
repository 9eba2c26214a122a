"""The causes of a verdict as other programs show them: one problem a cause, with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leak_suite.compare import Change, Comparison
from leak_suite.fit.result import FitResult
from leak_suite.places import Place
from leak_suite.render.comparison import change_reason
from leak_suite.render.document import Document
from leak_suite.render.summary import (
    also_growing,
    callers,
    failed_steps,
    format_site,
    format_site_growth,
    format_site_note,
    grouped_by_cause,
    is_memory,
    outcome_name,
    sorted_findings,
    verdict_sentence,
)
from leak_suite.result import Finding, Outcome, RunResult, Site
from leak_suite.units import format_value

__all__ = ["RULES", "Judged", "ReportedProblem", "problems"]

RULES = {
    "growing": "Something grows with each iteration of a workload, and does not stop growing.",
    "over-budget": "A metric passed the level that its budget allows.",
    "does-not-fit": "A service does not fit the memory limit that it was run under.",
    "regression": "A measure of a workload is worse than it was before.",
    "inconclusive": "The run, or the comparison, could not judge what it was asked to judge.",
}
"""What a problem can be, by the name that other programs know it by. Names do not change."""
Judged = RunResult | FitResult | Comparison | Document
"""What has a verdict."""
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class ReportedProblem:
    """One cause of a verdict that is not "stable".

    `rule` is one of RULES. `subject` is the workload, `measures` are the metrics or measures that
    show the cause, the leading one first. `lines` say what is known, the first of them why. `place`
    is the line to mark: the site, or its nearest caller in the repository; None where no line is
    known. `stack` begins at the site. `command` is what was
    run, empty where that is not known. Files are relative to the repository where they lie in it.
    """

    rule: str
    title: str
    subject: str
    measures: tuple[str, ...]
    lines: tuple[str, ...]
    place: Place | None = None
    stack: tuple[Place, ...] = ()
    command: tuple[str, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether the subject is at fault (status 1), and not the judging (status 2)."""
        return self.rule != "inconclusive"

    @property
    def message(self) -> str:
        """All lines as one text."""
        return "\n".join(self.lines)


def problems(result: Judged, root: Path | None = None) -> tuple[ReportedProblem, ...]:
    """One problem for each cause, the worst first; none where the status is 0.

    What could not be judged is a problem only if it decides the outcome. `root` is the folder of
    the repository.
    """
    if isinstance(result, Comparison):
        return _of_comparison(result, root)
    if isinstance(result, Document):
        return () if result.outcome.status == 0 else (_of_document(result),)
    if isinstance(result, FitResult):
        return () if result.fits else (_of_whole(result),)
    failed = [f for f in sorted_findings(result) if f.outcome.status == 1]
    found = [_of_cause(result, group, root) for group in grouped_by_cause(failed)]
    if result.outcome is Outcome.INCONCLUSIVE:
        undecided = [f for f in sorted_findings(result) if _is_undecided(f)]
        found.append(_of_whole(result, undecided))
    elif not found and result.outcome is not Outcome.STABLE:
        found.append(_of_whole(result))
    return tuple(found)


def _is_undecided(finding: Finding) -> bool:
    return finding.outcome is Outcome.INCONCLUSIVE and finding.required


def _of_whole(result: RunResult | FitResult, undecided: Sequence[Finding] = ()) -> ReportedProblem:
    """A run that failed, or could not judge, as a whole."""
    rule = result.outcome.value.replace(" ", "-")
    if isinstance(result, FitResult) and result.fits is False:
        rule = "does-not-fit"
    sentence = verdict_sentence(result)
    reasons = [f.reason or f"{f.metric}: {f.cause_text or 'not judged'}" for f in undecided]
    return ReportedProblem(
        rule,
        f"{result.subject}: {outcome_name(result)}",
        result.subject,
        tuple(dict.fromkeys(finding.metric for finding in undecided)),
        tuple(dict.fromkeys([sentence, *(one for one in reasons if one not in sentence)])),
        command=result.command if isinstance(result, FitResult) else result.details.command,
    )


def _of_document(document: Document) -> ReportedProblem:
    rule = document.outcome.value.replace(" ", "-")
    lines = (document.why, *document.sentences)
    return ReportedProblem(
        rule,
        f"{document.subject}: {document.word}",
        document.subject,
        (),
        lines,
        command=document.command,
    )


def _of_cause(result: RunResult, group: Sequence[Finding], root: Path | None) -> ReportedProblem:
    first, *others = group
    metrics = tuple(finding.metric for finding in group)
    lines = [first.reason or first.cause_text or first.outcome.value]
    site = first.sites[0] if first.sites else None
    if site is not None:
        speed = format_site_growth(site, first.unit)
        lines += [f"{format_site(site)} {speed}".rstrip(), format_site_note(site)]
    lines += [*also_growing(others), *failed_steps(result)]
    return ReportedProblem(
        first.outcome.value.replace(" ", "-"),
        f"{', '.join(metrics)} {first.outcome.value} in {result.subject}",
        result.subject,
        metrics,
        tuple(line for line in lines if line),
        None if site is None else _marked(site, root),
        () if site is None else tuple(_in_repository(one, root) for one in _frames(site)),
        result.details.command,
    )


def _marked(site: Site, root: Path | None) -> Place | None:
    """The line to mark: the site, or the nearest of its callers that lies in the repository."""
    for place in _frames(site):
        if root is not None and (file := _relative(place.file, root)) is not None:
            return Place(file, place.line, place.function)
    return Place(site.file, max(1, site.line), site.function) if site.file else None


def _frames(site: Site) -> Iterator[Place]:
    """The site and its callers, innermost first, each once."""
    if site.file:
        yield replace(site.place, line=max(1, site.line))
    for place in callers(site):
        yield replace(place, line=max(1, place.line))


def _in_repository(place: Place, root: Path | None) -> Place:
    file = None if root is None else _relative(place.file, root)
    return place if file is None else Place(file, place.line, place.function)


def _relative(file: str, root: Path) -> str | None:
    """The path from the repository; None for a file outside, or of an environment inside it."""
    base = root.resolve()
    path = (base / file).resolve()
    if not path.is_relative_to(base) or _INSTALLED & set(path.parts):
        return None
    return path.relative_to(base).as_posix()


def _of_comparison(comparison: Comparison, root: Path | None) -> tuple[ReportedProblem, ...]:
    found = [_of_changes(comparison, group, root) for group in _regressions(comparison)]
    if not found and comparison.status == 2:
        unknown = [f"{c.workload}: {c.measure}: {c.reason}" for c in comparison.of_kind("unknown")]
        lines = [*comparison.problems, *unknown] or ["there was nothing to compare"]
        workloads = dict.fromkeys(change.workload for change in comparison.changes)
        subject = ", ".join(workloads) or "comparison"
        found.append(
            ReportedProblem("inconclusive", "could not compare", subject, (), tuple(lines))
        )
    return tuple(found)


def _regressions(comparison: Comparison) -> list[list[Change]]:
    """The regressions; growth of a workload's memory is one, whatever metrics show it."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in comparison.of_kind("regression"):
        grows = bool(change.growth_of) and is_memory(change.growth_of)
        key = change.workload, "memory" if grows else change.measure
        groups.setdefault(key, []).append(change)
    return list(groups.values())


def _of_changes(
    comparison: Comparison, group: Sequence[Change], root: Path | None
) -> ReportedProblem:
    first = group[0]
    measures = tuple(change.measure for change in group)
    return ReportedProblem(
        "regression",
        f"{', '.join(measures)} worse in {first.workload}",
        first.workload,
        measures,
        tuple(map(_change_line, group)),
        next((_in_repository(c.site, root) for c in group if c.site is not None), None),
        command=comparison.commands.get(first.workload, ()),
    )


def _change_line(change: Change) -> str:
    each = " per iteration" if change.growth_of else ""
    before, after = format_value(change.base, change.unit), format_value(change.head, change.unit)
    why = change_reason(change)
    reason = f" ({why})" if why else ""
    return f"{change.measure} was {before}{each} and is {after}{each}{reason}"
