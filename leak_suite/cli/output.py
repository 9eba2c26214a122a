"""What a command prints at its end, and the moving line that it shows until then."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, _ArgumentGroup
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leak_suite.errors import ConfigurationError
from leak_suite.result_file import Result

if TYPE_CHECKING:
    from leak_suite.render import Renderable, Renderer, RenderSettings

__all__ = [
    "OutputOptions",
    "Report",
    "add_output_flags",
    "add_report_flag",
    "format_result",
    "parse_format",
    "parse_reports",
    "print_result",
    "render_settings",
    "show_progress",
    "terminal_width",
    "write_or_print",
    "write_reports",
]

FORMAT_HELP = "console, json, markdown, annotations, sarif, junit, agent or html"
"""The names of RENDERERS, without importing them: a run begins sooner."""


@dataclass(frozen=True)
class Report:
    """A further file with the result, in one of the formats of RENDERERS."""

    renderer: Renderer
    path: Path


@dataclass(frozen=True)
class OutputOptions:
    """Where a result goes: `output` is the run file, `reports` are further files.

    What is printed is the `form`, where it is given; else the run file with `json`, the headline
    with `quiet`, and the whole report with neither.
    """

    output: Path | None = None
    quiet: bool = False
    json: bool = False
    form: Renderer | None = None
    reports: tuple[Report, ...] = ()


def add_output_flags(parser: ArgumentParser) -> _ArgumentGroup:
    """Add the flags of OutputOptions; None where one is not given, so that a file may set it."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", metavar="RUN.JSON", type=Path, help="write the run file")
    for flag, text in (
        ("--json", "print the run file instead of the report"),
        ("--quiet", "print the verdict only"),
    ):
        group.add_argument(flag, action="store_const", const=True, default=None, help=text)
    group.add_argument(
        "--format", metavar="FORMAT", help=f"print the report as {FORMAT_HELP} (default: console)"
    )
    add_report_flag(group)
    return group


def add_report_flag(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Add `--report`, which every command that gives a verdict has."""
    parser.add_argument(
        "--report",
        metavar="FORMAT=PATH",
        action="append",
        default=[],
        help="write a report too, like sarif=leaks.sarif; may be repeated",
    )


def parse_reports(texts: Sequence[str], suitable: Callable[[Renderer], bool]) -> tuple[Report, ...]:
    """The reports of `--report`, each of a format that is `suitable` for the command.

    Raises:
        ConfigurationError: one cannot be made; that is said before anything is measured.
    """
    reports = []
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ConfigurationError(
                f"--report: {text!r} must be written FORMAT=PATH, like sarif=leaks.sarif"
            )
        reports.append(Report(parse_format("--report", name, suitable), Path(path)))
    return tuple(reports)


def parse_format(flag: str, name: str, suitable: Callable[[Renderer], bool]) -> Renderer:
    """The renderer of that name; ConfigurationError where it does not suit or cannot work."""
    from leak_suite.render import RENDERERS

    known = {key: renderer for key, renderer in RENDERERS.items() if suitable(renderer)}
    if name not in known:
        raise ConfigurationError(
            f"{flag}: {name!r} is no format here; known are {', '.join(known)}"
        )
    known[name].require()
    return known[name]


def print_result(result: Result, options: OutputOptions) -> None:
    """Print the result, then write the files: a failure to write does not cost the verdict."""
    print(format_result(result, options), end="", flush=True)
    if options.output is not None:
        result.write(options.output)
    write_reports(result, options.reports)


def write_reports(result: Renderable, reports: Iterable[Report]) -> None:
    """Write the files of `--report`."""
    for report in reports:
        write_or_print(report.renderer.render(result, render_settings(report.path)), report.path)


def format_result(result: Result, options: OutputOptions) -> str:
    """What is printed of a result."""
    from leak_suite.render import headline, render

    if options.form is not None:
        return options.form.render(result, render_settings())
    if options.json:
        return result.to_json()
    if options.quiet:
        return headline(result) + "\n"
    return render(result, "console", render_settings())


def render_settings(output: Path | None = None) -> RenderSettings:
    """The settings for text that goes to `output`, or to this terminal."""
    from leak_suite.render import RenderSettings

    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    if output is not None:
        return RenderSettings(root=root, folder=Path.cwd())
    return RenderSettings(terminal_width(), _use_colour(), root, Path.cwd())


def write_or_print(text: str, path: Path | None) -> None:
    """Write `text` to `path`, whose folder is made where it is missing; print it without a path."""
    if path is None:
        print(text, end="", flush=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def terminal_width() -> int:
    """The terminal's columns, 40 to 120; 80 where the output does not go to a terminal."""
    if not sys.stdout.isatty():
        return 80
    try:
        return max(40, min(120, os.get_terminal_size(sys.stdout.fileno()).columns))
    except OSError:
        return 80


def _use_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and _is_capable()


def _is_capable() -> bool:
    return os.environ.get("TERM", "") != "dumb"


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[Callable[[object], None] | None]:
    """Yield what shows an event on a moving line of the terminal; None where there is no such."""
    if quiet or not sys.stderr.isatty() or not _is_capable():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield lambda event: status.update(str(event))
