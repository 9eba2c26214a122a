"""`leak-suite fit`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leak_suite.cli.command import Command
from leak_suite.cli.output import (
    OutputOptions,
    add_output_flags,
    parse_format,
    parse_reports,
    print_result,
    show_progress,
)
from leak_suite.errors import ConfigurationError
from leak_suite.units import format_value, parse_duration, parse_size

if TYPE_CHECKING:
    from leak_suite.fit import FitOptions
    from leak_suite.render import Renderer
    from leak_suite.subject import Spec

__all__ = ["FitCommand"]


class FitCommand(Command):
    """Run a service under a real memory limit and say whether it fits."""

    name = "fit"
    statuses = "status: 0 fits, 1 does not fit, 2 could not judge or not enforce a limit"
    usage = (
        "leak-suite fit (--memory SIZE | --plan PLAN) [options] --workload WORKLOAD "
        "(--app APP | -- COMMAND ...)"
    )
    takes_subject_command = True

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        from leak_suite.fit import BACKENDS, FitOptions

        limit = parser.add_argument_group("limit (one of these)")
        limit.add_argument("--memory", metavar="SIZE", help="like 512M")
        limit.add_argument("--plan", help="what a hosting plan grants, like render-starter")
        service = parser.add_argument_group("service (--app, or a command after --)")
        service.add_argument("--app", help="an ASGI app, module:app or file.py:app, run by uvicorn")
        service.add_argument("--python", metavar="PATH", type=Path, help="interpreter for --app")
        service.add_argument(
            "--workload", help="what drives it: module:callable or file.py:callable"
        )
        shown = "(default: %(default)s)"
        load = parser.add_argument_group("load")
        load.add_argument(
            "--users", type=int, default=FitOptions.users, help=f"concurrent clients {shown}"
        )
        load.add_argument(
            "--iterations",
            type=int,
            default=FitOptions.iterations,
            help=f"iterations of all users together {shown}",
        )
        load.add_argument(
            "--max-seconds",
            metavar="S",
            default=f"{FitOptions.max_seconds:g}",
            help=f"time limit of each trial {shown}",
        )
        trials = parser.add_argument_group("trials")
        trials.add_argument(
            "--find-minimum", action="store_true", help="search for the smallest limit that passes"
        )
        trials.add_argument(
            "--tolerance",
            metavar="SIZE",
            default=format_value(FitOptions.tolerance_bytes, "bytes"),
            help=f"precision of that search {shown}",
        )
        trials.add_argument(
            "--backend", help=f"enforce the limit only by this one of: {', '.join(BACKENDS)}"
        )
        trials.add_argument("--way", metavar="BACKEND", help="deprecated name of --backend")
        trials.add_argument("--image", help="the image in which docker runs the command")
        add_output_flags(parser)

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.fit import run_fit

        options, spec = _fit_options(arguments), _service_spec(arguments)
        output = OutputOptions(
            arguments.output,
            bool(arguments.quiet),
            bool(arguments.json),
            arguments.format and parse_format("--format", arguments.format, _shows_fits),
            parse_reports(arguments.report, _shows_fits),
        )
        with show_progress(quiet=output.quiet) as on_progress:
            result = run_fit(spec, options, on_progress=on_progress)
        result = replace(result, command=("leak-suite", *arguments.words))
        print_result(result, output)
        return result.outcome.status


def _shows_fits(renderer: Renderer) -> bool:
    return renderer.shows_fits


def _fit_options(arguments: Namespace) -> FitOptions:
    from leak_suite.cli.subjects import parse_number
    from leak_suite.fit import FitOptions

    limit, name = _limit(arguments)
    return FitOptions(
        limit_bytes=int(limit),
        limit_name=name,
        users=arguments.users,
        iterations=arguments.iterations,
        max_seconds=parse_number("--max-seconds", parse_duration, arguments.max_seconds),
        find_minimum=arguments.find_minimum,
        tolerance_bytes=int(parse_number("--tolerance", parse_size, arguments.tolerance)),
        backend=_backend(arguments),
        image=arguments.image,
    )


def _limit(arguments: Namespace) -> tuple[float, str]:
    """The limit in bytes, and the name of the plan that grants it."""
    from leak_suite.cli.subjects import parse_number
    from leak_suite.fit import PLANS

    if (arguments.memory is None) == (arguments.plan is None):
        raise ConfigurationError("give the limit: either --memory SIZE or --plan PLAN")
    if arguments.plan is None:
        return parse_number("--memory", parse_size, arguments.memory), ""
    if arguments.plan not in PLANS:
        raise ConfigurationError(
            f"--plan: no plan {arguments.plan!r}; known are {', '.join(PLANS)}. "
            "Give any other one by --memory SIZE"
        )
    plan = PLANS[arguments.plan]
    granted = f"{plan.memory_bytes >> 20} MiB, as of {plan.as_of}"
    return plan.memory_bytes, f"{arguments.plan} ({granted})"


def _backend(arguments: Namespace) -> str | None:
    if arguments.way is None:
        backend: str | None = arguments.backend
        return backend
    if arguments.backend is not None:
        raise ConfigurationError("--way is the deprecated name of --backend; give one of them")
    print("leak-suite: --way is deprecated; use --backend", file=sys.stderr)
    way: str = arguments.way
    return way


def _service_spec(arguments: Namespace) -> Spec:
    from leak_suite.cli.subjects import app_spec, command_spec

    if (arguments.app is None) == (not arguments.argv):
        raise ConfigurationError("give one service: --app APP, or -- COMMAND")
    if arguments.app is not None:
        return app_spec(arguments, arguments.python)
    if arguments.workload is None:
        raise ConfigurationError("-- COMMAND needs --workload module:callable to drive it")
    return command_spec(arguments)
