"""Turns a run's result into text; nothing here measures, opens or prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from leak_suite.render.annotations import workflow_commands
from leak_suite.render.console import console
from leak_suite.render.junit import properties
from leak_suite.render.markdown import markdown
from leak_suite.render.summary import failure_message, headline
from leak_suite.result_file import Result

__all__ = [
    "FORMATS",
    "console",
    "failure_message",
    "headline",
    "markdown",
    "properties",
    "render",
    "workflow_commands",
]


def _html(result: Result) -> str:
    from leak_suite.render.html_page import html

    return html(result)


FORMATS: Mapping[str, Callable[[Result], str]] = {
    "console": console,
    "json": lambda result: result.to_json(),
    "markdown": markdown,
    "annotations": workflow_commands,
    "html": _html,
}


def render(result: Result, form: str = "console") -> str:
    """The text of `result` in one of FORMATS."""
    return FORMATS[form](result)
