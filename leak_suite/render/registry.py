"""The table of renderers, from which `--format` and its help are made."""

from __future__ import annotations

from collections.abc import Mapping

from leak_suite.render.agent import AgentRenderer
from leak_suite.render.annotations import AnnotationsRenderer
from leak_suite.render.console import ConsoleRenderer
from leak_suite.render.html_report import HtmlRenderer
from leak_suite.render.junit import JunitRenderer
from leak_suite.render.markdown import MarkdownRenderer
from leak_suite.render.renderer import Renderer
from leak_suite.render.run_file import RunFileRenderer
from leak_suite.render.sarif import SarifRenderer

__all__ = ["RENDERERS"]

RENDERERS: Mapping[str, Renderer] = {
    renderer.name: renderer
    for renderer in (
        ConsoleRenderer(),
        RunFileRenderer(),
        MarkdownRenderer(),
        AnnotationsRenderer(),
        SarifRenderer(),
        JunitRenderer(),
        AgentRenderer(),
        HtmlRenderer(),
    )
}
"""By the name that a user types."""
