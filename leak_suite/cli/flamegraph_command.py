"""`leak-suite flamegraph`, and the flamegraphs that `leak-suite run` links."""

from __future__ import annotations

import argparse
import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leak_suite.cli.telling import progress
from leak_suite.errors import ConfigurationError, LeakSuiteError
from leak_suite.options import Options
from leak_suite.result import Outcome, RunResult
from leak_suite.units import parse_duration

if TYPE_CHECKING:
    from leak_suite.flamegraph.make import Made
    from leak_suite.subject import Spec

__all__ = ["add_flamegraph", "linked"]

_EPILOG = "status: 0 written, 2 could not"
_ITERATIONS = 20
_RUN_SECONDS = 30.0


def add_flamegraph(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Make the command known."""
    parser = subparsers.add_parser(
        "flamegraph",
        help="record a workload under memray and draw it, or the difference of two recordings",
        epilog=_EPILOG,
        allow_abbrev=False,
        usage="leak-suite flamegraph [options] -o DIR "
        "(TARGET | --app APP --workload WORKLOAD | --diff BASE.bin HEAD.bin)",
    )
    parser.set_defaults(command=_flamegraph)
    subject = parser.add_argument_group("subject (one of these)")
    subject.add_argument("target", nargs="?", help="package.module:callable or file.py:callable")
    subject.add_argument("--app", help="an ASGI app, module:app or file.py:app, run by uvicorn")
    subject.add_argument("--workload", help="what drives it: module:callable or file.py:callable")
    subject.add_argument(
        "--diff", nargs=2, type=Path, metavar=("BASE", "HEAD"), help="two recordings made before"
    )
    subject.add_argument("--python", metavar="PATH", type=Path, help="the subject's interpreter")
    shown = parser.add_argument_group("what is shown (one of these)")
    modes = shown.add_mutually_exclusive_group()
    for mode, said in (
        ("leaks", "what iterations leave behind, after warm-up (default)"),
        ("peak", "what is there at the peak, imports included"),
        ("temporal", "the same over time; large files"),
        ("growth", "the difference of N and 2N iterations: what each iteration adds"),
    ):
        modes.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode, help=said)
    shown.add_argument("--native", action="store_true", help="frames of C and C++ too")
    shown.add_argument(
        "--iterations", type=int, default=_ITERATIONS, metavar="N", help=f"({_ITERATIONS})"
    )
    shown.add_argument("--max-seconds", metavar="S", default="120", help="for N iterations (120)")
    telling = parser.add_argument_group("telling")
    telling.add_argument("-o", "--output", metavar="DIR", type=Path, required=True)
    telling.add_argument("--quiet", action="store_true", help="print the names of the pages only")
    telling.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _flamegraph(arguments: Namespace) -> int:
    from leak_suite.cli.reading import parsed
    from leak_suite.flamegraph import make

    if arguments.iterations < 1:
        raise ConfigurationError("--iterations: at least 1 is needed")
    if arguments.diff is not None:
        if arguments.target or arguments.app or arguments.mode:
            raise ConfigurationError("--diff takes two recordings, and no subject or mode")
        base, head = arguments.diff
        made = make.difference(base, head, arguments.output)
    else:
        spec, mode = _spec(arguments), arguments.mode or "leaks"
        with progress(Options(quiet=arguments.quiet)) as shown:
            made = make.flamegraph(
                spec,
                mode,
                arguments.output,
                iterations=arguments.iterations,
                native=arguments.native,
                max_seconds=parsed("--max-seconds", parse_duration, arguments.max_seconds),
                tell=shown or (lambda _: None),
            )
    print(_told(made, quiet=arguments.quiet), end="", flush=True)
    return 0


def _spec(arguments: Namespace) -> Spec:
    from leak_suite.cli.reading import app_spec, callable_spec

    if (arguments.target is None) == (arguments.app is None):
        raise ConfigurationError("give one subject: TARGET, --app APP, or --diff BASE HEAD")
    make = app_spec if arguments.target is None else callable_spec
    return make(arguments, arguments.python)


def _told(made: Made, *, quiet: bool) -> str:
    from leak_suite.units import format_value

    lines = [] if quiet else [f"{title}: {path}" for title, path in made.pages.items()]
    if quiet:
        return "".join(f"{path}\n" for path in made.pages.values())
    lines += ["", f"most {made.unit}" if made.places else "no line holds anything"]
    each = "/iteration" if made.unit.endswith("iteration") else ""
    for place in made.places:
        size = f"{format_value(place.bytes, 'bytes')}{each}"
        lines.append(f"  {size:>18}  {place.frame.place} {place.frame.function}")
    return "\n".join(lines) + "\n"


def linked(result: RunResult, spec: Spec, options: Options, folder: Path | None) -> RunResult:
    """The same result with links to flamegraphs of what it found, made into `folder`.

    What grows is shown by what iterations leave behind and by what they add; a peak over its
    budget by what is there at the peak. The verdict stands where they cannot be made.
    """
    if folder is None or result.outcome not in (Outcome.GROWING, Outcome.OVER_BUDGET):
        return result
    if result.details.get("stopped") == "interrupted":
        return result  # somebody wants an end
    from leak_suite.flamegraph import make

    most = max(1, min(_ITERATIONS, result.iterations // 4))
    pages: dict[str, Path] = {}
    modes = ("leaks", "growth") if result.outcome is Outcome.GROWING else ("peak",)
    try:
        for mode in modes:
            made = make.flamegraph(spec, mode, folder, iterations=most, max_seconds=_RUN_SECONDS)
            pages |= made.pages
    except LeakSuiteError as error:
        details: Mapping[str, Any] = {**result.details, "flamegraph_error": str(error)}
        result = replace(result, details=details)
    beside = options.output.parent if options.output is not None else Path.cwd()
    links = {title: os.path.relpath(path, beside) for title, path in pages.items()}
    return replace(result, details={**result.details, "flamegraphs": links})
