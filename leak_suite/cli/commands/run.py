"""`leak-suite run`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from leak_suite.cli.checkpoint import CheckFunction, run_with_checkpoints
from leak_suite.cli.command import Command, add_debug_flag
from leak_suite.cli.commands.flamegraph import attach_flamegraphs
from leak_suite.cli.output import (
    OutputOptions,
    add_output_flags,
    parse_format,
    parse_reports,
    print_result,
    show_progress,
)
from leak_suite.cli.subjects import add_subject_flags, build_spec
from leak_suite.errors import ConfigurationError
from leak_suite.options import Options, resolve
from leak_suite.units import format_value, parse_duration

__all__ = ["RunCommand", "add_limit_flags", "add_subject_flags", "option_flags", "parsed_again"]


class RunCommand(Command):
    """Repeat a workload and judge what grows."""

    name = "run"
    usage = "leak-suite run [options] (TARGET | --app APP | --url URL | --pid PID | -- COMMAND ...)"
    takes_subject_command = True

    def __init__(self, check: CheckFunction | None = None) -> None:
        """`check` takes the place of `leak_suite.checks.check`, which is imported when it runs."""
        self._check = check

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        add_subject_flags(parser)
        add_limit_flags(parser)
        output = add_output_flags(parser)
        output.add_argument(
            "--flamegraph",
            metavar="DIR",
            type=Path,
            help="write flamegraphs of what grows into DIR, and link them",
        )

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        options = resolve(
            option_flags(arguments),
            Path.cwd(),
            workload=arguments.target or arguments.workload or "",
        )
        output = OutputOptions(
            options.output,
            options.quiet,
            options.json,
            arguments.format and parse_format("--format", arguments.format, lambda _: True),
            parse_reports(arguments.report, lambda _: True),
        )
        spec = build_spec(arguments, options.python)
        with show_progress(quiet=output.quiet) as on_progress:
            result = run_with_checkpoints(
                self._check or _default_check(),
                spec,
                options,
                output=output.output,
                on_progress=on_progress,
            )
            details = replace(result.details, command=("leak-suite", *arguments.words))
            result = replace(result, details=details)
            if arguments.flamegraph is not None:
                result = attach_flamegraphs(result, spec, arguments.flamegraph, output.output)
        print_result(result, output)
        return result.outcome.status


def _default_check() -> CheckFunction:
    from leak_suite.checks import check

    return check


def add_limit_flags(parser: ArgumentParser) -> None:
    """Flags default to None, so that one which was not given never hides a configured value."""
    group = parser.add_argument_group("limits and extra metrics")
    largest = format_value(Options.max_growth_bytes, "bytes")
    group.add_argument(
        "--max-seconds", metavar="S", help=f"time limit (default: {Options.max_seconds:g})"
    )
    group.add_argument(
        "--hours", metavar="H", help="soak: run for H hours even if everything is stable"
    )
    group.add_argument("--python", metavar="PATH", help="run the subject in this interpreter")
    group.add_argument(
        "--max-growth",
        metavar="SIZE",
        dest="max_growth_bytes",
        help=f"growth that ends the run (default: {largest})",
    )
    group.add_argument(
        "--max-threads",
        metavar="N",
        help=f"number of threads that ends the run (default: {Options.max_threads})",
    )
    allowance = format_value(Options.filling_allowance, "bytes")
    group.add_argument(
        "--filling-allowance",
        metavar="SIZE",
        help=f"what a bounded cache may take when it is full (default: {allowance})",
    )
    for flag, metavar, dest, text in (
        ("--budget", "METRIC=SIZE", "budgets", "highest level that a metric may reach"),
        ("--tolerance", "METRIC=RATE", "tolerances", "growth per iteration that is allowed"),
        ("--track", "MODULE:CLASS", "tracked", "count the living objects of a class"),
        ("--counter", "NAME=TARGET", "counters", "read a number that the program declares"),
    ):
        group.add_argument(
            flag, metavar=metavar, dest=dest, action="append", help=f"{text}; may be repeated"
        )
    group.add_argument(
        "--no-attribution",
        dest="attribution",
        action="store_const",
        const=False,
        default=None,
        help="do not look for the line that leaks",
    )


def parsed_again(words: Sequence[str]) -> Namespace:
    """The arguments of an earlier `leak-suite run`, whose words were accepted then."""
    cut = words.index("--") if "--" in words else len(words)
    parser = ArgumentParser(allow_abbrev=False)
    RunCommand().prepare_parser(parser)
    add_debug_flag(parser)
    given = parser.parse_args(words[:cut])
    given.argv = tuple(words[cut + 1 :])
    return given


def option_flags(arguments: Namespace) -> Mapping[str, Any]:
    """The flags that are fields of Options, by field name."""
    names = {item.name for item in fields(Options)}
    flags = {name: value for name, value in vars(arguments).items() if name in names}
    if arguments.hours is None:
        return flags
    if arguments.max_seconds is not None:
        raise ConfigurationError("--hours and --max-seconds are the same limit; give one of them")
    try:
        seconds = parse_duration(f"{arguments.hours}h")
    except ValueError:
        raise ConfigurationError(
            f"--hours: {arguments.hours!r} is not a number of hours; write it like 2 or 0.5"
        ) from None
    return {**flags, "max_seconds": seconds, "soak": True}
