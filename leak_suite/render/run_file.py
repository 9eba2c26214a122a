"""Renders a result as the JSON of its file."""

from __future__ import annotations

from leak_suite.compare import Comparison
from leak_suite.fit.result import FitResult
from leak_suite.render.renderer import Renderable, Renderer, RenderSettings
from leak_suite.result import RunResult

__all__ = ["RunFileRenderer"]


class RunFileRenderer(Renderer):
    """JSON for other programs; of a run or a fit it is the run file itself."""

    name = "json"
    extension = ".json"
    shows_documents = True

    def render(self, result: Renderable, settings: RenderSettings | None = None) -> str:
        """See Renderer. Every result has a form for programs, which says more than its document."""
        return result.to_json()

    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """See Renderer."""
        return result.to_json()

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """See Renderer."""
        return result.to_json()

    def render_comparison(self, comparison: Comparison, settings: RenderSettings) -> str:
        """See Renderer."""
        return comparison.to_json()
