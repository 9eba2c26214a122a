"""`leak-suite show`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from leak_suite.cli.command import Command
from leak_suite.cli.output import render_settings, write_or_print
from leak_suite.result_file import read_result

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

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.render import RENDERERS

        renderer = RENDERERS[arguments.format]
        if arguments.file.is_dir():
            return renderer.write_pages(arguments.file, arguments.output).status
        result = read_result(arguments.file)
        text = renderer.render(result, render_settings(arguments.output))
        write_or_print(text, arguments.output)
        return result.outcome.status
