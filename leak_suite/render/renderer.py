"""The base class of renderers: a result goes in, text comes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from leak_suite.compare import Comparison
from leak_suite.errors import ConfigurationError
from leak_suite.explain.result import Explanation
from leak_suite.fit.result import FitResult
from leak_suite.history import History
from leak_suite.recycling import Advice
from leak_suite.render.document import Document
from leak_suite.result import Outcome, RunResult

__all__ = ["RenderSettings", "Renderable", "Renderer"]

Renderable = RunResult | FitResult | Comparison | Advice | Explanation | History


@dataclass(frozen=True)
class RenderSettings:
    """What a text is for: a terminal of `width` columns, with or without `colour`.

    Files under `root`, the folder of the repository, are named relative to it where that matters.
    `folder` is where the command was started: what a user typed as a relative path starts there.
    """

    width: int = 80
    colour: bool = False
    root: Path | None = None
    folder: Path | None = None


class Renderer(ABC):
    """One format. It measures, opens and prints nothing.

    A renderer of fits, comparisons or documents overrides `render_fit`, `render_comparison` or
    `render_document`; what is not overridden is refused with a message.
    """

    name: ClassVar[str]
    """What a user types after `--format`."""
    extension: ClassVar[str]
    """The usual end of a file name, with the dot."""

    def render(self, result: Renderable, settings: RenderSettings | None = None) -> str:
        """The text of a result, a fit or a comparison.

        Raises:
            ConfigurationError: this format cannot show it.
        """
        settings = settings or RenderSettings()
        if isinstance(result, RunResult):
            return self.render_run(result, settings)
        if isinstance(result, FitResult):
            return self.render_fit(result, settings)
        if isinstance(result, Comparison):
            return self.render_comparison(result, settings)
        return self.render_document(_document(result), settings)

    @abstractmethod
    def render_run(self, result: RunResult, settings: RenderSettings) -> str:
        """The text of one run."""

    def render_fit(self, result: FitResult, settings: RenderSettings) -> str:
        """The text of one fit."""
        raise self._refused("fits")

    def render_comparison(self, comparison: Comparison, settings: RenderSettings) -> str:
        """The text of one comparison."""
        raise self._refused("comparisons")

    def render_document(self, document: Document, settings: RenderSettings) -> str:
        """The text of anything else that can be put as a document."""
        raise self._refused("this")

    def require(self) -> None:  # noqa: B027 - most formats need nothing
        """Do nothing where what the format needs is installed.

        Raises:
            ConfigurationError: it is not; the message says what to install.
        """

    def write_pages(self, folder: Path, output: Path | None) -> Outcome:
        """Write pages about all run files of `folder` to `output` or beside them.

        Returns the worst outcome.
        """
        raise ConfigurationError(
            f"{folder} is a folder: only --format html shows all of its run files"
        )

    @property
    def shows_fits(self) -> bool:
        """Whether `render_fit` is overridden."""
        return type(self).render_fit is not Renderer.render_fit

    @property
    def shows_comparisons(self) -> bool:
        """Whether `render_comparison` is overridden."""
        return type(self).render_comparison is not Renderer.render_comparison

    @property
    def shows_documents(self) -> bool:
        """Whether `render_document` is overridden."""
        return type(self).render_document is not Renderer.render_document

    def _refused(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"--format {self.name} does not show {what}")


def _document(result: Advice | Explanation | History) -> Document:
    from leak_suite.render.advice import advice_document
    from leak_suite.render.explanation import explanation_document
    from leak_suite.render.history import history_document

    if isinstance(result, Explanation):
        return explanation_document(result)
    if isinstance(result, History):
        return history_document(result)
    return advice_document(result)
