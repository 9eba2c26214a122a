"""`leak-suite show`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from leak_suite.cli.command import Command
from leak_suite.cli.output import rendered, write_or_print
from leak_suite.errors import ConfigurationError
from leak_suite.result_file import read_result

__all__ = ["ShowCommand"]

FORMATS = ("console", "json", "markdown", "annotations", "html")


class ShowCommand(Command):
    """Print a run file as a report, and end with the status of its run."""

    name = "show"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
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
            "--format", choices=FORMATS, default="console", help="default: %(default)s"
        )

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        if arguments.file.is_dir():
            return _show_folder(arguments)
        result = read_result(arguments.file)
        write_or_print(rendered(result, arguments.format), arguments.output)
        return result.outcome.status


def _show_folder(arguments: Namespace) -> int:
    if arguments.format != "html":
        raise ConfigurationError(
            f"{arguments.file} is a folder: only --format html shows all of its run files"
        )
    from leak_suite.render.index import write_pages

    return write_pages(arguments.file, arguments.output).status
