"""Renders a result as one HTML page that needs nothing but itself."""

from __future__ import annotations

from pathlib import Path

from leak_suite.fit.result import FitResult
from leak_suite.render.document import Document
from leak_suite.render.renderer import Renderer, RenderSettings
from leak_suite.result import Outcome, RunResult

__all__ = ["HtmlRenderer"]


class HtmlRenderer(Renderer):
    """A page for people, with charts; needs the extra `leak-suite[report]`."""

    name = "html"
    extension = ".html"

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        from leak_suite.render.html_page import html

        return html(result)

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        from leak_suite.render.html_page import html

        return html(result)

    def render_document(self, document: Document, settings: RenderSettings) -> str:
        """See Renderer."""
        from leak_suite.render.html_document import document_page

        return document_page(document)

    def require(self) -> None:
        """See Renderer."""
        from leak_suite.render.html_page import require

        require()

    def write_pages(self, folder: Path, output: Path | None) -> Outcome:
        """See Renderer."""
        from leak_suite.render.index import write_pages

        return write_pages(folder, output)
