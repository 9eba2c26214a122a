"""`leak-suite compare` and `leak-suite baseline update`: their flags, and what they do."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leak_suite.compare import Floor, Profile

__all__ = ["add_baseline", "add_compare"]

_EPILOG = "status: 0 no regression, 1 regression, 2 could not compare"
_FORMATS = ("console", "markdown", "json")


def add_compare(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Make `compare` known."""
    parser = subparsers.add_parser(
        "compare",
        help="say what got worse or better between two sets of runs",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.set_defaults(command=_compare)
    forms = "a run.json, a baseline, or a folder of them"
    parser.add_argument("base", type=Path, help=f"{forms}; several of a workload are repeats")
    parser.add_argument("head", type=Path, help="the same, of what is judged")
    parser.add_argument("-o", "--output", type=Path, help="write there instead of printing")
    parser.add_argument("--format", choices=_FORMATS, default="console")
    parser.add_argument("--quiet", action="store_true", help="print the verdict only")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_baseline(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Make `baseline update` known."""
    parser = subparsers.add_parser(
        "baseline", help="keep the figures that later runs are compared with", allow_abbrev=False
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    update = actions.add_parser(
        "update",
        help="write a baseline for each workload from its run files",
        epilog="status: 0 written, 2 could not (nothing is written then)",
        allow_abbrev=False,
    )
    update.set_defaults(command=_update)
    update.add_argument("runs", nargs="+", type=Path, help="run files, or folders of them")
    update.add_argument(
        "-o", "--output", type=Path, default=Path("reports/baselines"), help="(reports/baselines)"
    )
    update.add_argument("--quiet", action="store_true", help="print nothing")
    update.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _compare(arguments: Namespace) -> int:
    from leak_suite.compare import compare, profiles
    from leak_suite.render.comparison import COMPARISON_FORMATS, comparison_headline

    base, head = profiles(arguments.base), profiles(arguments.head)
    found = compare(base, head, _floors((*base, *head)))
    text = COMPARISON_FORMATS[arguments.format](found)
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text, encoding="utf-8")
        text = "" if arguments.quiet else comparison_headline(found) + "\n"
    elif arguments.quiet:
        text = comparison_headline(found) + "\n"
    print(text, end="", flush=True)
    return found.status


def _floors(found: tuple[Profile, ...]) -> dict[str, Floor]:
    """What the probes say does not matter; a metric of another release has no such word."""
    from leak_suite.compare import Floor
    from leak_suite.probes import probe_for

    floors = {}
    for metric in {metric for one in found for metric in one.growth}:
        try:
            probe = probe_for(metric)
        except KeyError:
            continue
        floors[metric] = Floor(probe.floor, probe.exact)
    return floors


def _update(arguments: Namespace) -> int:
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
