"""A result, or several, as one HTML page that needs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leak_suite.errors import ConfigurationError
from leak_suite.fit.result import FitResult
from leak_suite.render.fit import fit_facts
from leak_suite.render.html_theme import THEMES, style
from leak_suite.render.html_view import RunView, SiteView, build_view
from leak_suite.render.summary import WORST_FIRST
from leak_suite.result import Outcome, RunResult
from leak_suite.result_file import Result
from leak_suite.units import format_duration

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["fill", "html", "render_many", "require", "seconds", "worst"]

_HERE = Path(__file__).parent
_GLYPHS = {
    Outcome.GROWING: "▲",
    Outcome.OVER_BUDGET: "▲",
    Outcome.INCONCLUSIVE: "?",
    Outcome.STABLE: "✓",
}


@dataclass(frozen=True)
class Page:
    """The page as its template sees it; of a fit, `word` is not the outcome's own."""

    title: str
    outcome: Outcome
    word: str
    why: str
    where: SiteView | None
    where_kind: str
    figures: tuple[tuple[str, str], ...]
    runs: tuple[RunView, ...]
    charts: str


def html(result: Result) -> str:
    """The page of one run."""
    return render_many([result])


def render_many(results: Sequence[Result]) -> str:
    """One page of several runs, the worst first; ConfigurationError if there is none."""
    if not results:
        raise ConfigurationError("a report needs at least one run file; none was given")
    ordered = sorted(results, key=lambda result: WORST_FIRST.index(result.outcome))
    runs = tuple(build_view(result, number) for number, result in enumerate(ordered, 1))
    outcome, why = worst([run.result.outcome for run in runs])
    word = outcome.value
    if len(runs) == 1:
        word, why = runs[0].word, runs[0].why
    page = Page(
        title=f"{word}: {runs[0].result.subject if len(runs) == 1 else why} · leak-suite",
        outcome=outcome,
        word=word,
        why=why,
        where=_first_site(runs),
        where_kind="from" if len(runs) == 1 else "the first of them from",
        figures=_figures(runs),
        runs=runs,
        charts=_charts(runs),
    )
    script = (_HERE / "templates" / "report.js").read_text(encoding="utf-8")
    plotly = (_HERE / "vendor" / "plotly-basic.min.js").read_text(encoding="utf-8")
    return fill("report.html.j2", page=page, script=_markup(script), plotly=_markup(plotly))


def worst(outcomes: Sequence[Outcome]) -> tuple[Outcome, str]:
    """The outcome of many runs, and how many of them it is."""
    for outcome in WORST_FIRST:
        count = sum(one is outcome for one in outcomes)
        if count:
            return outcome, f"{count} of {len(outcomes)} runs {_IS[outcome]}"
    return Outcome.INCONCLUSIVE, "there is no run"


_IS = {
    Outcome.GROWING: "found something that grows",
    Outcome.OVER_BUDGET: "went over budget",
    Outcome.INCONCLUSIVE: "could not be judged",
    Outcome.STABLE: "found nothing that grows",
}


def fill(template: str, **values: Any) -> str:
    """The text of one of the templates."""
    from leak_suite import __version__

    page = _environment().get_template(template)
    return page.render(style=_markup(_style()), version=__version__, **values)


def _figures(runs: Sequence[RunView]) -> tuple[tuple[str, str], ...]:
    results = [run.result for run in runs if isinstance(run.result, RunResult)]
    judged = sum(len(result.findings) for result in results)
    growing = sum(f.outcome is Outcome.GROWING for result in results for f in result.findings)
    first = runs[0].result
    figures = [("runs", str(len(runs)))] if len(runs) > 1 else []
    figures += [
        ("iterations", f"{sum(run.result.iterations for run in runs):,}"),
        ("seconds", seconds(sum(run.result.seconds for run in runs))),
    ]
    if len(runs) == 1 and isinstance(first, FitResult):
        figures += fit_facts(first)
    else:
        figures += [("metrics judged", str(judged)), ("of them growing", str(growing))]
    if "python" in first.environment:
        figures.append(("Python", str(first.environment["python"])))
    return tuple(figures)


def _first_site(runs: Sequence[RunView]) -> SiteView | None:
    """The first site that the worst run names."""
    for run in runs:
        for metric in run.unstable:
            if metric.outcome is Outcome.GROWING and metric.sites:
                return metric.sites[0]
    return None


def _charts(runs: Sequence[RunView]) -> Any:
    """The data of all charts as JSON that cannot end its script element."""
    charts = {m.id: m.chart for run in runs for m in run.metrics if m.chart is not None}
    text = json.dumps({"themes": THEMES, "charts": charts}, separators=(",", ":"), allow_nan=False)
    return _markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def _style() -> str:
    return style() + (_HERE / "templates" / "report.css").read_text(encoding="utf-8")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own files, and JSON without any tag in it


def require() -> None:
    """Do nothing where the report extra is installed; see Renderer.require."""
    _environment()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "HTML reports need the report extra: install leak-suite[report]"
        ) from error
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "token": lambda outcome: outcome.value.replace(" ", "-"),
        "glyph": lambda outcome: _GLYPHS[outcome],
        "breakable": _breakable,
        "seconds": seconds,
    }
    environment.filters.update(filters)
    return environment


def seconds(value: float) -> str:
    """Seconds for a column that names the unit: `115.7`, `0.042`."""
    return format_duration(value).removesuffix(" s")


def _breakable(text: str) -> Any:
    """Escaped text that a narrow screen may break behind the marks in paths and names."""
    from markupsafe import escape

    escaped = str(escape(text))
    for mark in ("/", ":", "_", "."):
        escaped = escaped.replace(mark, f"{mark}<wbr>")
    return _markup(escaped)
