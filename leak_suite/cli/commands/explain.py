"""`leak-suite explain`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leak_suite.cli.command import Command
from leak_suite.cli.commands.run import add_limit_flags, add_subject_flags, option_flags
from leak_suite.cli.output import render_settings, show_progress, write_or_print
from leak_suite.options import resolve

if TYPE_CHECKING:
    from leak_suite.explain import Explanation

__all__ = ["ExplainCommand"]


class ExplainCommand(Command):
    """Say what a program's memory is made of, which part grows, and what helps."""

    name = "explain"
    statuses = "status: 0 no leak, 1 a leak or over budget, 2 unclear"
    usage = "leak-suite explain [options] (TARGET | --app APP | --pid PID | -- COMMAND ...)"
    takes_subject_command = True

    def __init__(self, explain: Callable[..., Explanation] | None = None) -> None:
        """`explain` takes the place of `leak_suite.explain.explain`."""
        self._explain = explain

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        from leak_suite.render import RENDERERS

        add_subject_flags(parser)
        add_limit_flags(parser)
        parser.add_argument(
            "--try-remedies",
            action="store_true",
            help="repeat the workload under each remedy, and say which one works",
        )
        output = parser.add_argument_group("output")
        output.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the run file")
        output.add_argument(
            "--quiet",
            action="store_const",
            const=True,
            default=None,
            help="print the word and its reason only",
        )
        formats = [name for name, one in RENDERERS.items() if one.shows_documents]
        output.add_argument(
            "--format", choices=formats, default="console", help="default: %(default)s"
        )

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.cli.subjects import build_spec
        from leak_suite.explain import explain
        from leak_suite.render import render

        workload = arguments.target or arguments.workload or ""
        options = resolve(option_flags(arguments), Path.cwd(), workload=workload)
        spec = build_spec(arguments, options.python)
        with show_progress(quiet=options.quiet) as on_progress:
            result = (self._explain or explain)(
                spec,
                options,
                with_trials=arguments.try_remedies,
                on_progress=on_progress or (lambda _: None),
            )
        result = replace(result, command=("leak-suite", *arguments.words))
        if options.quiet:
            print(f"{result.word.value.upper()}: {result.why}", flush=True)
        else:
            write_or_print(render(result, arguments.format, render_settings()), None)
        if options.output is not None:
            result.write(options.output)
        return result.outcome.status
