"""`leak-suite compare`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from leak_suite.cli.command import Command
from leak_suite.cli.output import (
    add_report_flag,
    parse_reports,
    render_settings,
    write_or_print,
    write_reports,
)

if TYPE_CHECKING:
    from leak_suite.compare import MinRate, Profile

__all__ = ["CompareCommand"]


class CompareCommand(Command):
    """Compare two sets of runs, and list what got worse or better."""

    name = "compare"
    statuses = "status: 0 no regression, 1 regression, 2 could not compare"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        from leak_suite.render import RENDERERS

        forms = "a run.json, a baseline, or a folder of them"
        parser.add_argument(
            "base", type=Path, help=f"{forms}; several runs of a workload are repeats"
        )
        parser.add_argument("head", type=Path, help="the same, of what is judged")
        parser.add_argument(
            "-o", "--output", metavar="PATH", type=Path, help="write there instead of printing"
        )
        formats = [name for name, one in RENDERERS.items() if one.shows_comparisons]
        parser.add_argument(
            "--format", choices=formats, default="console", help="default: %(default)s"
        )
        add_report_flag(parser)
        parser.add_argument("--quiet", action="store_true", help="print the verdict only")

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.compare import compare, profiles
        from leak_suite.render import render
        from leak_suite.render.comparison import comparison_headline

        reports = parse_reports(arguments.report, lambda one: one.shows_comparisons)
        base, head = profiles(arguments.base), profiles(arguments.head)
        comparison = compare(base, head, _min_rates((*base, *head)))
        if arguments.output is not None or not arguments.quiet:
            text = render(comparison, arguments.format, render_settings(arguments.output))
            write_or_print(text, arguments.output)
        if arguments.quiet != (arguments.output is not None):
            print(comparison_headline(comparison), flush=True)
        write_reports(comparison, reports)
        return comparison.status


def _min_rates(found: tuple[Profile, ...]) -> dict[str, MinRate]:
    """The rates that the probes ignore; a metric that this release does not know has none."""
    from leak_suite.compare import MinRate
    from leak_suite.metrics import metric_named

    min_rates = {}
    for metric in {metric for one in found for metric in one.growth}:
        try:
            probe = metric_named(metric)
        except KeyError:
            continue
        memory = probe.live or probe.resident
        min_rates[metric] = MinRate(probe.min_rate, probe.exact, memory)
    return min_rates
