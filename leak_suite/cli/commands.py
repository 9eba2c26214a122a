"""What each command does: read the flags, call the part that does it, print."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leak_suite.cli.flamegraph_command import linked
from leak_suite.cli.listening import listened
from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.options import Options, parse_duration, resolve
from leak_suite.result import RunResult

if TYPE_CHECKING:
    from leak_suite.subject import Spec

__all__ = ["FORMATS", "named", "probes", "progress", "run", "show", "told"]

FORMATS = ("console", "json", "markdown", "annotations", "html")


def run(arguments: Namespace) -> int:
    """Judge one subject."""
    names = {item.name for item in fields(Options)}
    flags = {name: value for name, value in vars(arguments).items() if name in names}
    if arguments.hours is not None:
        flags |= _soak(arguments)
    options = resolve(flags, Path.cwd(), workload=_workload_name(arguments))
    spec = _spec(arguments, options)
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
    text = _rendered(result, arguments.format)
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

    print(table(PROBES.values(), width=_width()), end="")
    return 0


def _workload_name(arguments: Namespace) -> str:
    """What the configuration calls this run: its target, or the workload that drives it."""
    return arguments.target or arguments.workload or ""


def _spec(arguments: Namespace, options: Options) -> Spec:
    kinds = {"TARGET": arguments.target, "--app": arguments.app, "--url": arguments.url}
    kinds |= {"--pid": arguments.pid, "-- COMMAND": arguments.argv or None}
    given = [name for name, value in kinds.items() if value is not None]
    if len(given) != 1:
        raise ConfigurationError(
            f"give one subject out of {', '.join(kinds)}; "
            + (f"given were {' and '.join(given)}" if given else "none was given")
        )
    return _SPECS[given[0]](arguments, options)


def _callable_spec(arguments: Namespace, options: Options) -> Spec:
    if arguments.workload is not None:
        raise ConfigurationError("a TARGET is its own workload; leave --workload out")
    target = named(arguments.target, "TARGET")
    from leak_suite.subject import CallableSpec

    return CallableSpec(target, options.python)


def _app_spec(arguments: Namespace, options: Options) -> Spec:
    app = named(arguments.app, "--app")
    workload = _workload(arguments, "--app needs --workload module:callable to drive it")
    from leak_suite.subject import AppSpec

    return AppSpec(app, workload, options.python)


def _command_spec(arguments: Namespace, _: Options) -> Spec:
    workload = _workload(arguments, "-- COMMAND needs --workload module:callable to drive it")
    from leak_suite.subject import CommandSpec

    return CommandSpec(arguments.argv, workload)


def _pid_spec(arguments: Namespace, _: Options) -> Spec:
    if not _alive(arguments.pid):
        raise SubjectError(f"--pid: there is no process {arguments.pid}")
    workload = None if arguments.workload is None else _workload(arguments)
    from leak_suite.subject import PidSpec

    return PidSpec(arguments.pid, workload)


def _url_spec(arguments: Namespace, _: Options) -> Spec:
    if arguments.metric is None:
        raise ConfigurationError("--url needs --metric, the path of a number in its JSON")
    workload = None if arguments.workload is None else _workload(arguments)
    from leak_suite.subject import UrlSpec

    return UrlSpec(arguments.url, arguments.metric, workload)


_SPECS: dict[str, Callable[[Namespace, Options], Spec]] = {
    "TARGET": _callable_spec,
    "--app": _app_spec,
    "--url": _url_spec,
    "--pid": _pid_spec,
    "-- COMMAND": _command_spec,
}


def _workload(arguments: Namespace, otherwise: str = "") -> str:
    if arguments.workload is None:
        raise ConfigurationError(otherwise)
    return named(arguments.workload, "--workload")


def named(target: str, what: str) -> str:
    """`target` itself, if it is written as one must be."""
    place, _, name = target.rpartition(":")
    if not place or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(
            f"{what}: {target!r} must be written package.module:name or path/file.py:name"
        )
    if place.endswith(".py") and not Path(place).is_file():
        raise ConfigurationError(f"{what}: there is no file {place}")
    return target


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return pid > 0


def told(result: RunResult, options: Options) -> str:
    """What is printed at the end."""
    from leak_suite.render import headline

    if options.json:
        return result.to_json()
    if options.quiet:
        return headline(result) + "\n"
    return _rendered(result, "console")


def _rendered(result: RunResult, form: str) -> str:
    from leak_suite.render import console, render, workflow_commands

    if form == "console":
        if "fit" in result.details:
            from leak_suite.render.fit import fit_console as console
        return console(result, width=_width(), colour=_colour())
    if form == "annotations":
        return workflow_commands(result, Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()))
    return render(result, form)


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and _terminal_can_draw()


def _terminal_can_draw() -> bool:
    return os.environ.get("TERM", "") != "dumb"


def _width() -> int:
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
