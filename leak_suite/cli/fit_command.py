"""`leak-suite fit`: its flags, and what it does with them."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from leak_suite.cli.telling import progress, told
from leak_suite.errors import ConfigurationError
from leak_suite.options import Options
from leak_suite.units import parse_duration, parse_size

if TYPE_CHECKING:
    from leak_suite.fit import FitOptions
    from leak_suite.subject import AppSpec, CommandSpec

__all__ = ["add_fit", "fit"]

_EPILOG = "status: 0 fits, 1 does not fit, 2 could not judge (also: no limit could be enforced)"


def add_fit(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Make the command known."""
    parser = subparsers.add_parser(
        "fit",
        help="run a service under a real memory limit and say whether it fits",
        epilog=_EPILOG,
        allow_abbrev=False,
        usage="leak-suite fit (--memory SIZE | --plan PLAN) [options] --workload WORKLOAD "
        "(--app APP | -- COMMAND ...)",
    )
    parser.set_defaults(command=fit)
    limit = parser.add_argument_group("the limit (one of these)")
    limit.add_argument("--memory", metavar="SIZE", help="like 512M")
    limit.add_argument("--plan", help="what a hosting plan grants, like render-starter")
    subject = parser.add_argument_group("the service (--app, or a command after --)")
    subject.add_argument("--app", help="an ASGI app, module:app or file.py:app, run by uvicorn")
    subject.add_argument("--python", metavar="PATH", type=Path, help="interpreter for --app")
    subject.add_argument("--workload", help="what drives it: module:callable or file.py:callable")
    load = parser.add_argument_group("how hard it is driven")
    load.add_argument("--users", type=int, default=1, help="clients side by side (1)")
    load.add_argument("--iterations", type=int, default=20, help="of the workload, in all (20)")
    load.add_argument("--max-seconds", metavar="S", default="600", help="for each trial (600)")
    search = parser.add_argument_group("how it is tried")
    search.add_argument(
        "--find-minimum", action="store_true", help="search the smallest limit that passes"
    )
    search.add_argument("--tolerance", metavar="SIZE", default="8M", help="of that search (8M)")
    search.add_argument("--way", metavar="WAY", help="only this one of: cgroup v2, cgroup v1, "
                        "systemd-run, docker")  # fmt: skip
    search.add_argument("--image", help="the image in which docker can run the command")
    telling = parser.add_argument_group("telling")
    telling.add_argument("-o", "--output", metavar="RUN.JSON", type=Path, help="write the run file")
    telling.add_argument("--json", action="store_true", help="print the run file instead")
    telling.add_argument("--quiet", action="store_true", help="print the verdict only")
    telling.add_argument("--debug", action="store_true", help="show the traceback of an error")


def fit(arguments: Namespace) -> int:
    """Say whether the service fits."""
    from leak_suite.fit import fit as run_fit

    chosen, spec = _fit_options(arguments), _spec(arguments)
    telling = Options(quiet=arguments.quiet, json=arguments.json, output=arguments.output)
    with progress(telling) as on_progress:
        result = run_fit(spec, chosen, on_progress=on_progress)
    print(told(result, telling), end="", flush=True)
    if arguments.output is not None:
        result.write(arguments.output)
    return result.outcome.status


def _fit_options(arguments: Namespace) -> FitOptions:
    from leak_suite.cli.reading import parsed
    from leak_suite.fit import PLANS, FitOptions

    if (arguments.memory is None) == (arguments.plan is None):
        raise ConfigurationError("give the limit: either --memory SIZE or --plan PLAN")
    if arguments.plan is not None:
        if arguments.plan not in PLANS:
            raise ConfigurationError(
                f"--plan: no plan {arguments.plan!r}; known are {', '.join(PLANS)}. "
                "Give any other one by --memory SIZE"
            )
        plan = PLANS[arguments.plan]
        limit = float(plan.memory_bytes)
        name = f"{arguments.plan} ({plan.memory_bytes >> 20} MiB, as of {plan.as_of})"
    else:
        limit, name = parsed("--memory", parse_size, arguments.memory), ""
    return FitOptions(
        limit_bytes=int(limit),
        limit_name=name,
        users=arguments.users,
        iterations=arguments.iterations,
        max_seconds=parsed("--max-seconds", parse_duration, arguments.max_seconds),
        find_minimum=arguments.find_minimum,
        tolerance_bytes=int(parsed("--tolerance", parse_size, arguments.tolerance)),
        way=arguments.way,
        image=arguments.image,
    )


def _spec(arguments: Namespace) -> AppSpec | CommandSpec:
    from leak_suite.cli.reading import app_spec, command_spec

    if (arguments.app is None) == (not arguments.argv):
        raise ConfigurationError("give one service: --app APP, or -- COMMAND")
    if arguments.app is not None:
        return app_spec(arguments, arguments.python)
    if arguments.workload is None:
        raise ConfigurationError("-- COMMAND needs --workload module:callable to drive it")
    return command_spec(arguments)
