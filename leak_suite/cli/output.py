"""What a command prints at its end, and the moving line that it shows until then."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, _ArgumentGroup
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leak_suite.result_file import Result

if TYPE_CHECKING:
    from leak_suite.render import RenderSettings

__all__ = [
    "OutputOptions",
    "add_output_flags",
    "format_result",
    "print_result",
    "render_settings",
    "show_progress",
    "terminal_width",
    "write_or_print",
]


@dataclass(frozen=True)
class OutputOptions:
    """Where a result goes: `output` is the run file, and one of `json` and `quiet` what is printed.

    The whole report is printed where both are false.
    """

    output: Path | None = None
    quiet: bool = False
    json: bool = False


def add_output_flags(parser: ArgumentParser) -> _ArgumentGroup:
    """Add the flags of OutputOptions; None where one is not given, so that a file may set it."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", metavar="RUN.JSON", type=Path, help="write the run file")
    for flag, text in (
        ("--json", "print the run file instead of the report"),
        ("--quiet", "print the verdict only"),
    ):
        group.add_argument(flag, action="store_const", const=True, default=None, help=text)
    return group


def print_result(result: Result, options: OutputOptions) -> None:
    """Print the result, then write the run file: a failure to write does not cost the verdict."""
    print(format_result(result, options), end="", flush=True)
    if options.output is not None:
        result.write(options.output)


def format_result(result: Result, options: OutputOptions) -> str:
    """What is printed of a result."""
    from leak_suite.render import headline, render

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
        return RenderSettings(root=root)
    return RenderSettings(width=terminal_width(), colour=_use_colour(), root=root)


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
