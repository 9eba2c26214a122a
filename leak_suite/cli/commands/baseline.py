"""`leak-suite baseline update`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from leak_suite.cli.command import Command, add_debug_flag

__all__ = ["BaselineCommand"]


class BaselineCommand(Command):
    """Keep the figures that later runs are compared with."""

    name = "baseline"
    statuses = "status: 0 written, 2 could not (nothing is written then)"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        actions = parser.add_subparsers(required=True, metavar="ACTION")
        text = "Write a baseline for each workload from its run files"
        update = actions.add_parser(
            "update", help=text, description=f"{text}.", epilog=self.statuses, allow_abbrev=False
        )
        update.add_argument("runs", nargs="+", type=Path, help="run files, or folders of them")
        update.add_argument(
            "-o",
            "--output",
            metavar="DIR",
            type=Path,
            default=Path("reports/baselines"),
            help="folder of the baselines (default: %(default)s)",
        )
        update.add_argument("--quiet", action="store_true", help="print nothing")
        update.set_defaults(subparser=update)
        add_debug_flag(update)

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.compare import read_runs, update_baselines
        from leak_suite.result import Outcome

        runs = read_runs(arguments.runs)
        paths = update_baselines(runs, arguments.output)
        if not arguments.quiet:
            for path in paths:
                print(f"wrote {path}")
            for subject in sorted({r.subject for r in runs if r.outcome is Outcome.GROWING}):
                print(f"note: {subject} grows; later runs are compared with that growth")
        return 0
