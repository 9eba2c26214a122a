"""Turns results into text; nothing here measures, opens or prints."""

from __future__ import annotations

from leak_suite.render.junit import junit_properties
from leak_suite.render.registry import RENDERERS
from leak_suite.render.renderer import Renderable, Renderer, RenderSettings
from leak_suite.render.summary import cause_lines, failure_message, headline

__all__ = [
    "RENDERERS",
    "RenderSettings",
    "Renderable",
    "Renderer",
    "cause_lines",
    "failure_message",
    "headline",
    "junit_properties",
    "render",
]


def render(
    result: Renderable, name: str = "console", settings: RenderSettings | None = None
) -> str:
    """The text of a result, a fit or a comparison in one of the formats of RENDERERS."""
    return RENDERERS[name].render(result, settings)
