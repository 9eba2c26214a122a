"""`leak-suite probes`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from leak_suite.cli.command import Command
from leak_suite.cli.output import terminal_width

__all__ = ["ProbesCommand"]


class ProbesCommand(Command):
    """List the metrics, and what each of them cannot see."""

    name = "probes"
    statuses = "status: 0"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""

    def run(self, arguments: Namespace) -> int:  # noqa: ARG002 - it has no flags
        """See Command."""
        from leak_suite.metrics import METRICS
        from leak_suite.render.probes import table

        print(table(METRICS.values(), width=terminal_width()), end="")
        return 0
