"""Turns a run's result into text; nothing here measures, opens or prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from leak_suite.render.annotations import workflow_commands
from leak_suite.render.console import console
from leak_suite.render.junit import properties
from leak_suite.render.markdown import markdown
from leak_suite.render.short import headline, in_short
from leak_suite.result import RunResult

__all__ = [
    "FORMATS",
    "console",
    "headline",
    "in_short",
    "markdown",
    "properties",
    "render",
    "workflow_commands",
]


def _html(result: RunResult) -> str:
    from leak_suite.render.html_page import html

    return html(result)


FORMATS: Mapping[str, Callable[[RunResult], str]] = {
    "console": console,
    "json": RunResult.to_json,
    "markdown": markdown,
    "annotations": workflow_commands,
    "html": _html,
}


def render(result: RunResult, form: str = "console") -> str:
    """The text of `result` in one of FORMATS."""
    return FORMATS[form](result)
