"""`leak-suite show`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from leak_suite.cli.command import Command
from leak_suite.cli.output import (
    add_report_flag,
    parse_reports,
    render_settings,
    write_or_print,
    write_reports,
)
from leak_suite.errors import ConfigurationError
from leak_suite.fit.result import FitResult
from leak_suite.result_file import read_explanation, read_result

__all__ = ["ShowCommand"]


class ShowCommand(Command):
    """Print a run file as a report, and end with the status of its run."""

    name = "show"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        from leak_suite.render import RENDERERS

        parser.add_argument(
            "file", type=Path, help="a run.json, or a folder of them for --format html"
        )
        parser.add_argument(
            "-o",
            "--output",
            metavar="PATH",
            type=Path,
            help="write there instead of printing (for a folder: the folder of the pages)",
        )
        parser.add_argument(
            "--format", choices=tuple(RENDERERS), default="console", help="default: %(default)s"
        )
        add_report_flag(parser)

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.render import RENDERERS

        renderer = RENDERERS[arguments.format]
        if arguments.file.is_dir():
            if arguments.report:
                raise ConfigurationError("--report is of one run file; give it instead of a folder")
            return renderer.write_pages(arguments.file, arguments.output).status
        explanation = read_explanation(arguments.file)
        if explanation is not None:
            text = renderer.render(explanation, render_settings(arguments.output))
            write_or_print(text, arguments.output)
            return explanation.outcome.status
        result = read_result(arguments.file)
        is_fit = isinstance(result, FitResult)
        reports = parse_reports(arguments.report, lambda one: one.shows_fits or not is_fit)
        text = renderer.render(result, render_settings(arguments.output))
        write_or_print(text, arguments.output)
        write_reports(result, reports)
        return result.outcome.status
