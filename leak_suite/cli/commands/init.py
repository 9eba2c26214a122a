"""`leak-suite init`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from leak_suite.cli.command import Command

__all__ = ["InitCommand"]


class InitCommand(Command):
    """Write a first workload, test and configuration for the FastAPI app of this folder."""

    name = "init"
    statuses = "status: 0 written, 2 could not (nothing is written then)"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        parser.add_argument("--app", help="the application, if it should not be searched for")
        parser.add_argument(
            "--python", metavar="PATH", type=Path, help="the interpreter that it runs in"
        )

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.cli.subjects import validate_target
        from leak_suite.init import start

        if arguments.app is not None:
            validate_target(arguments.app, "--app")
        started = start(Path.cwd(), app=arguments.app, python=arguments.python)
        print(f"application: {started.app}")
        if started.others:
            print(f"also found:  {', '.join(started.others)} (choose with --app)")
        for name in started.written:
            print(f"written:     {name}")
        for note in started.notes:
            print(f"note:        {note.rstrip()}")
        print(f"\nNext:\n\n    {started.command}")
        return 0
