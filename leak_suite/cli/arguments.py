"""The command line as data: every command, flag and help text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from leak_suite import __version__
from leak_suite.cli import commands
from leak_suite.cli.compare_command import add_baseline, add_compare
from leak_suite.cli.fit_command import add_fit, fit
from leak_suite.cli.flamegraph_command import add_flamegraph
from leak_suite.cli.init_command import add_init

__all__ = ["parse"]

_EPILOG = "status: 0 stable, 1 growing or over budget, 2 could not judge"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The namespace of a command; all after a bare `--` is the subject's command, untouched."""
    own, argv = list(arguments), []
    if "--" in own:
        cut = own.index("--")
        own, argv = own[:cut], own[cut + 1 :]
        if not argv:
            _parser().error("no command after --; give one, like: -- python server.py {port}")
    namespace = _parser().parse_args(own)
    if argv and namespace.command not in (commands.run, fit):
        _parser().error("only `leak-suite run` and `fit` take a command after --")
    namespace.argv = tuple(argv)
    namespace.given = tuple(arguments)
    return namespace


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="leak-suite",
        description="Tell whether a Python program's memory grows, and name the line.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"leak-suite {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    add_init(subparsers)
    _add_run(subparsers)
    add_fit(subparsers)
    _add_show(subparsers)
    add_compare(subparsers)
    add_flamegraph(subparsers)
    add_baseline(subparsers)
    _add_probes(subparsers)
    return parser


def _add_run(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = subparsers.add_parser(
        "run",
        help="repeat a workload and judge what grows",
        epilog=_EPILOG,
        allow_abbrev=False,
        usage="leak-suite run [options] "
        "(TARGET | --app APP | --url URL | --pid PID | -- COMMAND ...)",
    )
    run.set_defaults(command=commands.run)
    subject = run.add_argument_group("subject (one of these)")
    subject.add_argument("target", nargs="?", help="package.module:callable or file.py:callable")
    subject.add_argument("--app", help="an ASGI app, module:app or file.py:app, run by uvicorn")
    subject.add_argument("--url", help="a health endpoint that answers JSON; needs --metric")
    subject.add_argument("--pid", type=int, help="a process that already runs, seen from outside")
    subject.add_argument("--workload", help="what drives it: module:callable or file.py:callable")
    subject.add_argument(
        "--ready-when", metavar="TEXT", help="the command is ready when its output has this text"
    )
    subject.add_argument(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        help="a variable for the command; may be repeated",
    )
    subject.add_argument("--cwd", metavar="DIR", type=Path, help="the command's working directory")
    subject.add_argument(
        "--request-timeout", metavar="S", help="how long a request of the workload may take (30)"
    )
    subject.add_argument("--metric", metavar="JSONPATH", help="where in the JSON the number is")
    _add_options(run)


def _add_options(run: argparse.ArgumentParser) -> None:
    """Flags default to None, so that one which was not given never hides a configured value."""
    limits = run.add_argument_group("limits and extra metrics")
    limits.add_argument("--max-seconds", metavar="S", help="time to judge in (60)")
    limits.add_argument(
        "--hours", metavar="H", help="soak: run for so long, even where all is stable"
    )
    limits.add_argument("--python", metavar="PATH", help="run the subject in this interpreter")
    limits.add_argument(
        "--max-growth",
        metavar="SIZE",
        dest="max_growth_bytes",
        help="growth that ends the run (1GiB)",
    )
    limits.add_argument("--max-threads", metavar="N", help="threads that end the run (200)")
    limits.add_argument(
        "--budget",
        metavar="METRIC=SIZE",
        dest="budgets",
        action="append",
        help="a level that must not be passed; may be repeated",
    )
    limits.add_argument(
        "--tolerance",
        metavar="METRIC=RATE",
        dest="tolerances",
        action="append",
        help="growth per iteration that does not matter; may be repeated",
    )
    limits.add_argument(
        "--track",
        metavar="MODULE:CLASS",
        dest="tracked",
        action="append",
        help="count the living objects of a class; may be repeated",
    )
    limits.add_argument(
        "--counter",
        metavar="NAME=TARGET",
        dest="counters",
        action="append",
        help="read a number that the program declares; may be repeated",
    )
    limits.add_argument(
        "--no-attribution",
        dest="attribution",
        action="store_const",
        const=False,
        default=None,
        help="do not look for the line",
    )
    telling = run.add_argument_group("telling")
    telling.add_argument("-o", "--output", metavar="RUN.JSON", type=Path, help="write the run file")
    telling.add_argument(
        "--flamegraph", metavar="DIR", type=Path, help="draw what grows there, and link it"
    )
    for name, said in (
        ("--json", "print the run file instead of the table"),
        ("--quiet", "print the verdict only"),
        ("--debug", "show the traceback of an error"),
    ):
        telling.add_argument(name, action="store_const", const=True, default=None, help=said)


def _add_show(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    show = subparsers.add_parser(
        "show",
        help="print a run file again, with the status that its run had",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    show.set_defaults(command=commands.show)
    show.add_argument("file", type=Path, help="a run.json, or a folder of them for --format html")
    show.add_argument(
        "-o", "--output", type=Path, help="write there instead (for a folder: the pages' folder)"
    )
    show.add_argument("--format", choices=commands.FORMATS, default="console", help="(console)")
    show.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _add_probes(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    probes = subparsers.add_parser(
        "probes", help="print what is measured, and what each probe cannot see", allow_abbrev=False
    )
    probes.set_defaults(command=commands.probes)
    probes.add_argument("--debug", action="store_true", help="show the traceback of an error")
