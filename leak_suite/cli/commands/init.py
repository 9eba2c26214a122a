"""`leak-suite init`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from leak_suite.cli.command import Command
from leak_suite.errors import ConfigurationError

__all__ = ["InitCommand"]

_TOLD = {"output", "quiet", "json", "python", "attribution"}
"""Flags of a run that change what it says, and not what it judges."""


class InitCommand(Command):
    """Write a first workload, test and configuration for the application of this folder."""

    name = "init"
    statuses = "status: 0 written, 2 could not (nothing is written then)"

    def prepare_parser(self, parser: ArgumentParser) -> None:
        """See Command."""
        parser.add_argument("--app", help="the application, if it should not be searched for")
        parser.add_argument(
            "--python", metavar="PATH", type=Path, help="the interpreter that it runs in"
        )
        parser.add_argument(
            "--from",
            metavar="RUN.JSON",
            type=Path,
            dest="run_file",
            help="write the test that fails while the leak of this run file is there",
        )
        parser.add_argument(
            "-o", "--output", metavar="TEST.PY", type=Path, help="where that test goes"
        )

    def run(self, arguments: Namespace) -> int:
        """See Command."""
        from leak_suite.cli.subjects import validate_target
        from leak_suite.init import start

        if arguments.run_file is not None:
            return _write_proof(arguments)
        if arguments.output is not None:
            raise ConfigurationError("-o is of the test that --from RUN.JSON writes")
        if arguments.app is not None:
            validate_target(arguments.app.removesuffix("()"), "--app")
        started = start(Path.cwd(), app=arguments.app, python=arguments.python)
        print(f"application: {started.app} ({started.framework})")
        if started.others:
            print(f"also found:  {', '.join(started.others)} (choose with --app)")
        for name in started.written:
            print(f"written:     {name}")
        for note in started.notes:
            print(f"note:        {note.rstrip()}")
        print(f"\nNext:\n\n    {started.command}")
        return 0


def _write_proof(arguments: Namespace) -> int:
    from leak_suite.cli.commands.run import option_flags, parsed_again
    from leak_suite.cli.subjects import build_spec
    from leak_suite.init import write_proof
    from leak_suite.render.summary import grouped_by_cause, sorted_findings
    from leak_suite.result import RunResult
    from leak_suite.subject import AppSpec, CallableSpec, CommandSpec

    if arguments.app is not None or arguments.python is not None:
        raise ConfigurationError("--from takes the subject from the run file; leave the rest out")
    result = RunResult.read(arguments.run_file)
    program, *words = result.details.command or ("",)
    if program != "leak-suite" or words[:1] != ["run"]:
        raise ConfigurationError(
            f"{arguments.run_file} was not written by `leak-suite run`, so that it does not say "
            "how its subject is started"
        )
    given = parsed_again(words[1:])
    if given.pid is not None or given.url is not None:
        raise ConfigurationError(
            f"{arguments.run_file} is of {result.subject}, which a test cannot start; run a "
            "callable, an app or a command that has the leak"
        )
    flags = option_flags(given)
    spec = build_spec(given, given.python and Path(given.python))
    assert isinstance(spec, (CallableSpec, AppSpec, CommandSpec))
    path = write_proof(
        result,
        grouped_by_cause(f for f in sorted_findings(result) if f.outcome.status == 1),
        spec,
        {name: value for name, value in flags.items() if value is not None and name not in _TOLD},
        arguments.run_file,
        Path.cwd(),
        arguments.output,
    )
    shown = path.relative_to(Path.cwd())
    print(f"written:     {shown}\n\nNext:\n\n    pytest {shown}")
    return 0
