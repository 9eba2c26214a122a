"""A result as GitHub workflow commands: one for each failed finding, on the line it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from leak_suite.fit.result import FitResult
from leak_suite.render.summary import format_site, outcome_name, sorted_findings, verdict_sentence
from leak_suite.result import Finding, Outcome, RunResult, Site
from leak_suite.result_file import Result
from leak_suite.units import format_rate

__all__ = ["workflow_commands"]

_MOST = 10  # of each kind; GitHub shows no more of one step
_INSTALLED = {"site-packages", "dist-packages"}
_KINDS = {
    Outcome.GROWING: "error",
    Outcome.OVER_BUDGET: "error",
    Outcome.INCONCLUSIVE: "warning",
}


def workflow_commands(results: Result | Iterable[Result], root: Path | None = None) -> str:
    """The commands to print in a workflow step, or nothing where all is stable.

    Files under `root` (the repository, if given) are named relative to it. What could not be
    judged is a warning, and stands there only if it decides a run's outcome.
    """
    runs = [results] if isinstance(results, (RunResult, FitResult)) else list(results)
    lines: dict[str, list[str]] = {"error": [], "warning": []}
    for result in runs:
        for kind, line in _lines(result, root):
            if line not in lines[kind]:
                lines[kind].append(line)
    return "".join(f"{line}\n" for kind in lines for line in lines[kind][:_MOST])


def _lines(result: Result, root: Path | None) -> list[tuple[str, str]]:
    """Kind and text of what one run has to say."""
    if isinstance(result, FitResult):
        return [] if result.fits else [(_KINDS[result.outcome], _bare(result))]
    failed = [f for f in sorted_findings(result) if f.outcome.status == 1]
    if result.outcome is Outcome.INCONCLUSIVE:
        failed += [
            f for f in sorted_findings(result) if f.outcome is Outcome.INCONCLUSIVE and f.required
        ]
    if not failed and result.outcome is not Outcome.STABLE:
        return [(_KINDS[result.outcome], _bare(result))]
    return [(_KINDS[f.outcome], _line(result, f, root)) for f in failed]


def _bare(result: Result) -> str:
    """A run that failed as a whole, with no finding to blame."""
    title = f"leak-suite: {result.subject}: {outcome_name(result)}"
    return f"::{_KINDS[result.outcome]} title={_property(title)}::{_data(verdict_sentence(result))}"


def _line(result: RunResult, finding: Finding, root: Path | None) -> str:
    title = f"leak-suite: {finding.metric} {finding.outcome.value} in {result.subject}"
    said = finding.reason or finding.cause_text or finding.outcome.value
    properties = f"title={_property(title)}"
    for site in finding.sites[:1]:
        speed = format_rate(site.per_iteration, finding.unit)
        said += f"\n{format_site(site)} {speed}".rstrip() + (f"\n{site.note}" if site.note else "")
        file, line = _place(site, root)
        place = f"file={_property(file)},line={max(1, line)}"
        properties = f"{place},{properties}"
    return f"::{_KINDS[finding.outcome]} {properties}::{_data(said)}"


def _place(site: Site, root: Path | None) -> tuple[str, int]:
    """The line to write on: the site, or the nearest of its callers that lies in the repository."""
    if root is not None:
        for file, line in ((site.file, site.line), *_frames(site)):
            inside = _relative(file, root)
            if inside is not None:
                return inside, line
    return site.file, site.line


def _frames(site: Site) -> Iterator[tuple[str, int]]:
    for frame in site.stack:
        found = re.match(r"(.+):(\d+)(?: |$)", frame)
        if found is not None:
            yield found[1], int(found[2])


def _relative(file: str, root: Path) -> str | None:
    """The path from the repository; None for a file outside, or of an environment inside it."""
    base = root.resolve()
    path = (base / file).resolve()
    if not path.is_relative_to(base) or _INSTALLED & set(path.parts):
        return None
    return path.relative_to(base).as_posix()


def _data(text: str) -> str:
    """Text as the message of a command: it stays on its line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Text as a property of a command: it ends neither the property nor the list of them."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
