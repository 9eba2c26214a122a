"""`leak-suite flamegraph`, and the flamegraphs that `leak-suite run --flamegraph` links."""

from __future__ import annotations

import logging
import os
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leak_suite.cli.command import Command
from leak_suite.cli.output import show_progress
from leak_suite.cli.subjects import add_command_flags
from leak_suite.errors import ConfigurationError, LeakSuiteError
from leak_suite.result import Outcome, RunResult
from leak_suite.units import format_value, parse_duration

if TYPE_CHECKING:
    from leak_suite.flamegraph.make import Made
    from leak_suite.subject import Spec

__all__ = ["FlamegraphCommand", "attach_flamegraphs"]

_ITERATIONS = 20
_RUN_SECONDS = 30.0  # for each recording of a run that links its flamegraphs
_MODES = (
    ("leaks", "what iterations leave behind, after warm-up (default)"),
    ("peak", "what is held at the peak, imports included"),
    ("temporal", "allocations over time; large files"),
    ("growth", "the difference of N and 2N iterations: what each iteration adds"),
)

_log = logging.getLogger(__name__)


class FlamegraphCommand(Command):
    """Record a workload under memray and draw it, or the difference of two recordings."""

    name = "flamegraph"
    statuses = "status: 0 written, 2 could not"
    usage = (
        "leak-suite flamegraph [options] -o DIR "
        "(TARGET | --app APP --workload WORKLOAD | --diff BASE.bin HEAD.bin | -- COMMAND ...)"
    )
    takes_subject_command = True

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        subject = parser.add_argument_group("subject (one of these)")
        subject.add_argument(
            "target", nargs="?", help="package.module:callable or file.py:callable"
        )
        subject.add_argument("--app", help="an ASGI app, module:app or file.py:app, run by uvicorn")
        subject.add_argument(
            "--workload", help="what drives it: module:callable or file.py:callable"
        )
        add_command_flags(subject)
        subject.add_argument(
            "--diff", nargs=2, type=Path, metavar=("BASE", "HEAD"), help="two existing recordings"
        )
        subject.add_argument(
            "--python", metavar="PATH", type=Path, help="the subject's interpreter"
        )
        view = parser.add_argument_group("view (one of these)")
        modes = view.add_mutually_exclusive_group()
        for mode, text in _MODES:
            modes.add_argument(
                f"--{mode}", dest="mode", action="store_const", const=mode, help=text
            )
        view.add_argument("--native", action="store_true", help="show frames of C and C++ too")
        view.add_argument(
            "--iterations",
            type=int,
            default=_ITERATIONS,
            metavar="N",
            help="iterations to record (default: %(default)s)",
        )
        view.add_argument(
            "--max-seconds",
            metavar="S",
            default="120",
            help="time limit of N iterations (default: %(default)s)",
        )
        output = parser.add_argument_group("output")
        output.add_argument(
            "-o", "--output", metavar="DIR", type=Path, required=True, help="folder of the pages"
        )
        output.add_argument(
            "--quiet", action="store_true", help="print the paths of the pages only"
        )

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        made = _difference(arguments) if arguments.diff is not None else _recording(arguments)
        text = _format_paths(made) if arguments.quiet else _format_summary(made)
        print(text, end="", flush=True)
        return 0


def _difference(arguments: Namespace) -> Made:
    from leak_suite.flamegraph import make

    if arguments.target or arguments.app or arguments.argv or arguments.mode:
        raise ConfigurationError("--diff takes two recordings, and no subject or mode")
    base, head = arguments.diff
    return make.difference(base, head, arguments.output)


def _recording(arguments: Namespace) -> Made:
    from leak_suite.cli.subjects import app_spec, callable_spec, command_spec, parse_number
    from leak_suite.flamegraph import make

    if arguments.iterations < 1:
        raise ConfigurationError("--iterations: at least 1 is needed")
    given = (arguments.target is not None, arguments.app is not None, bool(arguments.argv))
    if sum(given) != 1:
        raise ConfigurationError(
            "give one subject: TARGET, --app APP, -- COMMAND, or --diff BASE HEAD"
        )
    build = (callable_spec, app_spec, command_spec)[given.index(True)]
    with show_progress(quiet=arguments.quiet) as on_progress:
        return make.flamegraph(
            build(arguments, arguments.python),
            arguments.mode or "leaks",
            arguments.output,
            iterations=arguments.iterations,
            native=arguments.native,
            max_seconds=parse_number("--max-seconds", parse_duration, arguments.max_seconds),
            on_progress=on_progress or (lambda _: None),
        )


def _format_paths(made: Made) -> str:
    return "".join(f"{path}\n" for path in made.pages.values())


def _format_summary(made: Made) -> str:
    """The pages, and the lines that hold or gained most."""
    lines = [f"{title}: {path}" for title, path in made.pages.items()]
    lines += ["", f"most {made.unit}" if made.places else "no line holds anything"]
    each = "/iteration" if made.unit.endswith("iteration") else ""
    for place in made.places:
        size = f"{format_value(place.bytes, 'bytes')}{each}"
        lines.append(f"  {size:>18}  {place.frame.place} {place.frame.function}")
    return "\n".join(lines) + "\n"


def attach_flamegraphs(
    result: RunResult, spec: Spec, folder: Path, run_file: Path | None
) -> RunResult:
    """The same result with links, relative to `run_file`, to flamegraphs written into `folder`.

    A growing result gets the views "leaks" and "growth", one over its budget "peak"; others, and
    an interrupted run, get none. Where recording fails the result says so.
    """
    if result.outcome not in (Outcome.GROWING, Outcome.OVER_BUDGET):
        return result
    if result.details.stopped == "interrupted":
        return result
    from leak_suite.flamegraph import make

    iterations = max(1, min(_ITERATIONS, result.iterations // 4))
    modes = ("leaks", "growth") if result.outcome is Outcome.GROWING else ("peak",)
    pages: dict[str, Path] = {}
    details = result.details
    try:
        for mode in modes:
            made = make.flamegraph(
                spec, mode, folder, iterations=iterations, max_seconds=_RUN_SECONDS
            )
            pages |= made.pages
    except LeakSuiteError as error:
        _log.debug("the flamegraphs failed", exc_info=True)
        details = replace(details, flamegraph_error=str(error))
    start = run_file.parent if run_file is not None else Path.cwd()
    links = {title: os.path.relpath(path, start) for title, path in pages.items()}
    return replace(result, details=replace(details, flamegraphs=links))
