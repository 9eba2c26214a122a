"""Renders a result as GitHub workflow commands, which mark lines of a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from leak_suite.fit.result import FitResult
from leak_suite.render.renderer import Renderer, RenderSettings
from leak_suite.render.summary import (
    also_growing,
    failed_steps,
    format_site,
    format_site_growth,
    grouped_by_cause,
    outcome_name,
    sorted_findings,
    verdict_sentence,
)
from leak_suite.result import Finding, Outcome, RunResult, Site
from leak_suite.result_file import Result

__all__ = ["AnnotationsRenderer"]

_MOST = 10  # of each level; GitHub shows no more of one step
_INSTALLED = {"site-packages", "dist-packages"}
_LEVELS = {
    Outcome.GROWING: "error",
    Outcome.OVER_BUDGET: "error",
    Outcome.INCONCLUSIVE: "warning",
}


class AnnotationsRenderer(Renderer):
    """One error for each cause of growth, on its line; nothing where everything is stable.

    What could not be judged is a warning, and only if it decides the outcome of the run.
    """

    name = "annotations"
    extension = ".txt"

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        failed = [f for f in sorted_findings(result) if f.outcome.status == 1]
        if result.outcome is Outcome.INCONCLUSIVE:
            failed += [f for f in sorted_findings(result) if _is_undecided(f)]
        commands = [_command(result, group, settings.root) for group in grouped_by_cause(failed)]
        if not commands and result.outcome is not Outcome.STABLE:
            commands = [_whole_run(result)]
        for level in ("::error ", "::warning "):
            of_level = [command for command in commands if command.startswith(level)]
            commands = [one for one in commands if one not in of_level[_MOST:]]
        return "".join(f"{command}\n" for command in commands)

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        return "" if result.fits else f"{_whole_run(result)}\n"


def _is_undecided(finding: Finding) -> bool:
    return finding.outcome is Outcome.INCONCLUSIVE and finding.required


def _whole_run(result: Result) -> str:
    """A run that failed as a whole, without a finding that failed."""
    title = f"leak-suite: {result.subject}: {outcome_name(result)}"
    level = _LEVELS[result.outcome]
    return f"::{level} title={_property(title)}::{_data(verdict_sentence(result))}"


def _command(result: RunResult, group: Sequence[Finding], root: Path | None) -> str:
    """One cause: the reason and site of its first finding, then the other metrics that show it."""
    first, *others = group
    metrics = ", ".join(finding.metric for finding in group)
    title = f"leak-suite: {metrics} {first.outcome.value} in {result.subject}"
    properties = f"title={_property(title)}"
    lines = [first.reason or first.cause_text or first.outcome.value]
    for site in first.sites[:1]:
        speed = format_site_growth(site, first.unit)
        lines += [f"{format_site(site)} {speed}".rstrip(), *([site.note] if site.note else [])]
        file, line = _position(site, root)
        if file:
            properties = f"file={_property(file)},line={max(1, line)},{properties}"
    lines += [*also_growing(others), *failed_steps(result)]
    return f"::{_LEVELS[first.outcome]} {properties}::{_data(chr(10).join(lines))}"


def _position(site: Site, root: Path | None) -> tuple[str, int]:
    """The line to mark: the site, or the nearest of its callers that lies in the repository."""
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
    if not file:
        return None
    base = root.resolve()
    path = (base / file).resolve()
    if not path.is_relative_to(base) or _INSTALLED & set(path.parts):
        return None
    return path.relative_to(base).as_posix()


def _data(text: str) -> str:
    """Text as the message of a command, in one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Text as a property of a command, which a colon or a comma would end."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
