"""Renders a result as GitHub workflow commands, which mark lines of a pull request."""

from __future__ import annotations

from leak_suite.compare import Comparison
from leak_suite.fit.result import FitResult
from leak_suite.render.document import Document
from leak_suite.render.problems import Judged, ReportedProblem, problems
from leak_suite.render.renderer import Renderer, RenderSettings
from leak_suite.render.summary import notes
from leak_suite.result import RunResult

__all__ = ["AnnotationsRenderer"]

_MOST = 10  # of each level; GitHub shows no more of one step


class AnnotationsRenderer(Renderer):
    """One error for each cause of growth, on its line; none where everything is stable.

    What could not be judged is a single warning, and only if it decides the outcome. What the
    verdict says nothing of is a notice.
    """

    name = "annotations"
    extension = ".txt"

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        title = _property(f"leak-suite: {result.subject}")
        notices = [f"::notice title={title}::{_data(sentence)}\n" for sentence in notes(result)]
        return _commands(result, settings) + "".join(notices)

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        return _commands(result, settings)

    def render_comparison(self, comparison: Comparison, settings: RenderSettings) -> str:
        """See Renderer."""
        return _commands(comparison, settings)

    def render_document(self, document: Document, settings: RenderSettings) -> str:
        """See Renderer."""
        return _commands(document, settings)


def _commands(result: Judged, settings: RenderSettings) -> str:
    found = problems(result, settings.root)
    failures = [one for one in found if one.is_failure][:_MOST]
    others = [one for one in found if not one.is_failure][:_MOST]
    return "".join(f"{_command(one)}\n" for one in (*failures, *others))


def _command(problem: ReportedProblem) -> str:
    level = "error" if problem.is_failure else "warning"
    properties = f"title={_property(f'leak-suite: {problem.title}')}"
    if problem.place is not None:
        where = f"file={_property(problem.place.file)},line={problem.place.line}"
        properties = f"{where},{properties}"
    return f"::{level} {properties}::{_data(problem.message)}"


def _data(text: str) -> str:
    """Text as the message of a command, in one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Text as a property of a command, which a colon or a comma would end."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
