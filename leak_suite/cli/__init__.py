"""The command `leak-suite`: thin commands, and the promise that every way out has a status."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["main"]

NOT_JUDGED = 2


def main(arguments: Sequence[str] | None = None, *, check: Callable[..., Any] | None = None) -> int:
    """Run one command; 0 passed, 1 growing or over budget, 2 could not judge, and nothing else.

    `check` takes the place of `leak_suite.check.check`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _termination_cleans_up():
            status = _command(given, check)
            sys.stdout.flush()
    except BaseException as error:
        status = _explain(error, debug="--debug" in given)
    return status if status in (0, 1) else NOT_JUDGED


@contextmanager
def _termination_cleans_up() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, so that no subject is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _command(given: list[str], check: Callable[..., Any] | None) -> int:
    from leak_suite.cli.arguments import parse

    try:
        parsed = parse(given)
    except SystemExit as end:  # argparse has printed help (0) or what was wrong (2)
        return 0 if end.code in (0, None) else NOT_JUDGED
    parsed.check = check
    status: int = parsed.command(parsed)
    return status


def _explain(error: BaseException, *, debug: bool) -> int:
    """Say in one line what went wrong. Also a SystemExit of 0: nothing was judged."""
    if isinstance(error, BrokenPipeError):
        # Nobody reads on. What is still buffered would fail again at exit, with another status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_JUDGED
    if debug:
        traceback.print_exception(error)
    print(f"leak-suite: {_sentence(error)}", file=sys.stderr)
    return NOT_JUDGED


def _sentence(error: BaseException) -> str:
    from leak_suite.errors import LeakSuiteError

    text = " ".join(str(error).split())
    if isinstance(error, LeakSuiteError) and text:
        return text
    if isinstance(error, KeyboardInterrupt):
        return "stopped before it could judge"
    return f"could not judge: {type(error).__name__}: {text} (--debug shows where)"
