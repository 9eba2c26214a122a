"""What each command does: read the flags, call the part that does it, print."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from leak_suite.cli.flamegraph_command import linked
from leak_suite.cli.listening import listened
from leak_suite.cli.telling import progress, rendered, terminal_width, told
from leak_suite.errors import ConfigurationError
from leak_suite.options import Options, resolve
from leak_suite.result import RunResult
from leak_suite.units import parse_duration

__all__ = ["FORMATS", "probes", "run", "show"]

FORMATS = ("console", "json", "markdown", "annotations", "html")


def run(arguments: Namespace) -> int:
    """Judge one subject."""
    from leak_suite.cli.reading import spec_of

    names = {item.name for item in fields(Options)}
    flags = {name: value for name, value in vars(arguments).items() if name in names}
    if arguments.hours is not None:
        flags |= _soak(arguments)
    options = resolve(flags, Path.cwd(), workload=arguments.target or arguments.workload or "")
    spec = spec_of(arguments, options.python)
    with progress(options) as shown:
        result = listened(arguments.check or _real_check(), spec, options, shown)
        command = ["leak-suite", *arguments.given]
        result = replace(result, details={**result.details, "command": command})
        result = linked(result, spec, options, arguments.flamegraph)
    print(told(result, options), end="", flush=True)  # first, in case the file cannot be written
    if options.output is not None:
        result.write(options.output)
    return result.outcome.status


def _soak(arguments: Namespace) -> dict[str, Any]:
    if arguments.max_seconds is not None:
        raise ConfigurationError("--hours and --max-seconds are the same limit; give one of them")
    try:
        seconds = parse_duration(f"{arguments.hours}h")
    except ValueError:
        wrong = f"--hours: {arguments.hours!r} is no time to run for; write it like 2 or 0.5"
        raise ConfigurationError(wrong) from None
    return {"max_seconds": seconds, "soak": True}


def _real_check() -> Callable[..., RunResult]:
    from leak_suite.check import check

    return check


def show(arguments: Namespace) -> int:
    """Print a run file, or write what would be printed; of a folder of them, write pages."""
    if arguments.file.is_dir():
        return _show_folder(arguments)
    result = RunResult.read(arguments.file)
    text = rendered(result, arguments.format)
    if arguments.output is None:
        print(text, end="")
    else:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text, encoding="utf-8")
    return result.outcome.status


def _show_folder(arguments: Namespace) -> int:
    if arguments.format != "html":
        raise ConfigurationError(
            f"{arguments.file} is a folder: only --format html shows all of its run files"
        )
    from leak_suite.render.index import write_pages

    return write_pages(arguments.file, arguments.output).status


def probes(_: Namespace) -> int:
    """Print the table of probes."""
    from leak_suite.probes import PROBES
    from leak_suite.render.probes import table

    print(table(PROBES.values(), width=terminal_width()), end="")
    return 0
