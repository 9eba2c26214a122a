"""`leak-suite advise`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from leak_suite.cli.command import Command
from leak_suite.cli.output import render_settings, write_or_print
from leak_suite.errors import ConfigurationError
from leak_suite.result import RunResult
from leak_suite.result_file import read_result
from leak_suite.units import parse_size

__all__ = ["AdviseCommand"]


class AdviseCommand(Command):
    """Say how often to replace workers so that a leak stays below a memory limit."""

    name = "advise"
    statuses = "status: 0 advice given or none needed, 1 the limit is too small, 2 no rate to go by"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        from leak_suite.render import RENDERERS

        parser.add_argument("file", type=Path, help="a run.json of `leak-suite run`")
        parser.add_argument(
            "--limit", metavar="SIZE", required=True, help="memory of all workers, like 512MiB"
        )
        parser.add_argument(
            "--workers",
            metavar="N",
            type=int,
            help="worker processes that share the limit (default: as many as were measured)",
        )
        parser.add_argument(
            "--requests-per-iteration",
            metavar="N",
            type=float,
            default=1.0,
            help="requests or tasks in one iteration of the run's workload (default: 1)",
        )
        parser.add_argument(
            "--requests-per-second",
            metavar="R",
            type=float,
            help="what the service serves (default: the pace of the run)",
        )
        parser.add_argument(
            "-o", "--output", metavar="FILE", type=Path, help="write there instead of printing"
        )
        formats = [name for name, one in RENDERERS.items() if one.shows_documents]
        parser.add_argument(
            "--format", choices=formats, default="console", help="default: %(default)s"
        )

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.cli.subjects import parse_number
        from leak_suite.recycling import advise
        from leak_suite.render import render

        for flag in ("workers", "requests_per_iteration", "requests_per_second"):
            value = getattr(arguments, flag)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigurationError(f"--{flag.replace('_', '-')} must be above zero")
        result = read_result(arguments.file)
        if not isinstance(result, RunResult):
            raise ConfigurationError(f"{arguments.file} is not the run file of `leak-suite run`")
        limit = int(parse_number("--limit", parse_size, arguments.limit))
        advice = advise(
            result,
            limit,
            workers=arguments.workers,
            requests_per_iteration=arguments.requests_per_iteration,
            requests_per_second=arguments.requests_per_second,
        )
        text = render(advice, arguments.format, render_settings(arguments.output))
        write_or_print(text, arguments.output)
        return advice.outcome.status
