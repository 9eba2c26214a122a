"""Telling: what a command prints at its end, and the line that moves until then."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leak_suite.options import Options
from leak_suite.result import RunResult

__all__ = ["progress", "rendered", "terminal_width", "told"]


def told(result: RunResult, options: Options) -> str:
    """What is printed at the end."""
    from leak_suite.render import headline

    if options.json:
        return result.to_json()
    if options.quiet:
        return headline(result) + "\n"
    return rendered(result, "console")


def rendered(result: RunResult, form: str) -> str:
    """The result in one of the formats of `leak-suite show`."""
    from leak_suite.render import console, render, workflow_commands

    if form == "console":
        return console(result, width=terminal_width(), colour=_colour())
    if form == "annotations":
        return workflow_commands(result, Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()))
    return render(result, form)


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and _terminal_can_draw()


def _terminal_can_draw() -> bool:
    return os.environ.get("TERM", "") != "dumb"


def terminal_width() -> int:
    """The terminal's width within reason; 80 wherever the output goes to a file."""
    if not sys.stdout.isatty():
        return 80
    try:
        return max(40, min(120, os.get_terminal_size(sys.stdout.fileno()).columns))
    except OSError:
        return 80


@contextmanager
def progress(options: Options) -> Iterator[Callable[[Any], None] | None]:
    """A moving line on a terminal, nothing anywhere else."""
    if options.quiet or not sys.stderr.isatty() or not _terminal_can_draw():
        yield None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:
        yield lambda news: status.update(str(news))
