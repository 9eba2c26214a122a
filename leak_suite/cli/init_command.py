"""`leak-suite init`: its flags, and what it says."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path

__all__ = ["add_init", "init"]


def add_init(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Make the command known."""
    parser = subparsers.add_parser(
        "init",
        help="write a first workload, test and configuration for the FastAPI app of this folder",
        allow_abbrev=False,
    )
    parser.set_defaults(command=init)
    parser.add_argument("--app", help="the application, where it is not to be searched for")
    parser.add_argument(
        "--python", metavar="PATH", type=Path, help="the interpreter that it runs in"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def init(arguments: Namespace) -> int:
    """Start a project off."""
    from leak_suite.cli.reading import named
    from leak_suite.init import start

    if arguments.app is not None:
        named(arguments.app, "--app")
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
