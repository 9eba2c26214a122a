"""The base class of commands: flags, what they do, and the statuses that they end with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from typing import ClassVar

__all__ = ["Command", "add_debug_flag"]


class Command(ABC):
    """A subcommand of `leak-suite`; the first line of its docstring is its help text."""

    name: ClassVar[str]
    """What a user types."""
    statuses: ClassVar[str] = "status: 0 stable, 1 growing or over budget, 2 could not judge"
    """The last line of the help."""
    usage: ClassVar[str | None] = None
    """Replaces the usage line that argparse makes."""
    takes_subject_command: ClassVar[bool] = False
    """Whether the command of a subject may follow after a bare `--`, as `arguments.argv`."""

    @property
    def help(self) -> str:
        """The first line of the docstring, without its full stop."""
        return (type(self).__doc__ or "").partition("\n")[0].rstrip(".")

    @abstractmethod
    def prepare_parser(self, parser: ArgumentParser) -> None:
        """Add the flags of this command."""

    @abstractmethod
    def run(self, arguments: Namespace) -> int:
        """Do it, and return the exit status: 0, 1 or 2.

        Raises:
            LeakSuiteError: it could not be done; `leak-suite` ends with status 2.
        """


def add_debug_flag(parser: ArgumentParser) -> None:
    """Add the one flag that all commands have; `main` reads it."""
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
