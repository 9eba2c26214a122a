"""Makes the argument parser from the list of commands."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from difflib import get_close_matches

from leak_suite import __version__
from leak_suite.cli.command import Command, add_debug_flag
from leak_suite.cli.commands import COMMANDS

__all__ = ["build_parser", "parse"]


def parse(words: Sequence[str], commands: Sequence[Command] = COMMANDS) -> Namespace:
    """The arguments of one command line, without the program's name.

    Beside the command's own flags the namespace has `command` (the Command), `argv` (all after a
    bare `--`, untouched: the subject's command) and `words` (the whole command line).

    Raises:
        SystemExit: help was printed (code 0), or what is wrong (code 2).
    """
    own, argv = list(words), []
    if "--" in own:
        cut = own.index("--")
        own, argv = own[:cut], own[cut + 1 :]
    # Only the flags of the command that is called: those of others would import what is not needed.
    name = next((word for word in own if not word.startswith("-")), None)
    called = [one for one in commands if one.name == name]
    parser = build_parser(called or commands)
    if name is not None and not called:
        names = [one.name for one in commands]
        parser.error(f"unknown command {name}{_nearest(name, names)} ({', '.join(names)})")
    namespace, unknown = parser.parse_known_args(own)
    error = namespace.subparser.error  # with the usage of this command, not of all
    if unknown:
        error(_unknown(unknown, namespace.subparser))
    if "--" in words and not argv:
        error("no command after --; give one, like: -- python server.py {port}")
    if argv and not namespace.command.takes_subject_command:
        *others, last = (f"`{one.name}`" for one in commands if one.takes_subject_command)
        error(f"only {', '.join(others)} and {last} take a command after --")
    namespace.argv = tuple(argv)
    namespace.words = tuple(words)
    return namespace


def _unknown(words: Sequence[str], subparser: ArgumentParser) -> str:
    """What to say of words that no flag of `subparser` takes."""
    option = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
    if option is None:
        return f"too many arguments: {' '.join(words)}"
    known = [flag for action in subparser._actions for flag in action.option_strings]
    return f"unknown option {option}{_nearest(option, known)}"


def _nearest(given: str, known: Sequence[str]) -> str:
    found = get_close_matches(given, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def build_parser(commands: Sequence[Command] = COMMANDS) -> ArgumentParser:
    """The parser of `leak-suite` with a subparser for each command."""
    parser = ArgumentParser(
        prog="leak-suite",
        description="Tell whether a Python program's memory grows, and name the line.",
        epilog=Command.statuses,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"leak-suite {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands:
        subparser = subparsers.add_parser(
            command.name,
            help=command.help,
            description=f"{command.help}.",
            epilog=command.statuses,
            usage=command.usage,
            allow_abbrev=False,
        )
        subparser.set_defaults(command=command, subparser=subparser)
        command.prepare_parser(subparser)
        add_debug_flag(subparser)
    return parser
