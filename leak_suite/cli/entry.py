"""The entry point `leak-suite`: runs one command, and gives every way out a status."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leak_suite.cli.command import Command

__all__ = ["main"]

NOT_JUDGED = 2


def main(words: Sequence[str] | None = None, commands: Sequence[Command] | None = None) -> int:
    """Run one command: 0 passed, 1 growing or over budget, 2 could not judge, and nothing else.

    `words` is the command line without the program's name, that of this process by default;
    `commands` are the commands to choose from, all of `COMMANDS` by default.
    """
    words = list(sys.argv[1:] if words is None else words)
    debug = "--debug" in takewhile(lambda word: word != "--", words)
    try:
        with _terminated_as_interrupted(), _logging_to_stderr(enabled=debug):
            status = _run_command(words, commands)
            sys.stdout.flush()
    except BaseException as error:
        status = _report_error(error, debug=debug)
    return status if status in (0, 1) else NOT_JUDGED


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that no subject is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _logging_to_stderr(*, enabled: bool) -> Iterator[None]:
    """With --debug, print what the package logs: tracebacks of errors that do not end a run."""
    if not enabled:
        yield
        return
    logger, handler = logging.getLogger("leak_suite"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("leak-suite: %(message)s"))
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _run_command(words: list[str], commands: Sequence[Command] | None) -> int:
    from leak_suite.cli.commands import COMMANDS
    from leak_suite.cli.parser import parse

    try:
        arguments = parse(words, COMMANDS if commands is None else commands)
    except SystemExit as end:  # argparse has printed help (0) or what was wrong (2)
        return 0 if end.code in (0, None) else NOT_JUDGED
    command: Command = arguments.command
    return command.run(arguments)


def _report_error(error: BaseException, *, debug: bool) -> int:
    """Say in one line what went wrong. Also a SystemExit of 0: nothing was judged."""
    if isinstance(error, BrokenPipeError):
        # Nobody reads on. What is still buffered would fail again at exit, with another status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_JUDGED
    if debug:
        traceback.print_exception(error)
    print(f"leak-suite: {_message(error)}", file=sys.stderr)
    return NOT_JUDGED


def _message(error: BaseException) -> str:
    from leak_suite.errors import LeakSuiteError

    text = " ".join(str(error).split())
    if isinstance(error, LeakSuiteError) and text:
        return text
    if isinstance(error, KeyboardInterrupt):
        return "stopped before it could judge"
    return f"could not judge: {type(error).__name__}: {text} (--debug shows the traceback)"
