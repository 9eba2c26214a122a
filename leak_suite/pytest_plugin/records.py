"""Keeps pytest's own records of a test from growing while the test is repeated.

pytest keeps every log record, warning and printed line of a test. Over thousands of iterations
that memory grows, though the test itself keeps nothing.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import pytest

__all__ = ["without_records"]

_MOST_WARNINGS = 100
Wrap = Callable[[Callable[[], None]], Callable[[], None]]


@contextmanager
def without_records(item: pytest.Item) -> Iterator[Wrap]:
    """Yield a wrapper that empties pytest's records before every call.

    Printed lines are dropped. Each different warning is shown once, when the context ends.
    """
    with ExitStack() as stack:
        if not {"capsys", "capfd", "capsysbinary"} & set(getattr(item, "fixturenames", ())):
            devnull = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(devnull))
            stack.enter_context(redirect_stderr(devnull))
        stack.enter_context(_warnings_once())
        yield _emptying(_record_keepers())


def _record_keepers() -> list[Any]:
    """The log handlers of pytest: those of the root logger that keep records."""
    return [
        h for h in logging.getLogger().handlers if hasattr(h, "records") and hasattr(h, "clear")
    ]


def _emptying(keepers: list[Any]) -> Wrap:
    def wrap(call: Callable[[], None]) -> Callable[[], None]:
        def quiet() -> None:
            for keeper in keepers:
                if keeper.records:
                    keeper.clear()
            call()

        return quiet

    return wrap


@contextmanager
def _warnings_once() -> Iterator[None]:
    """Hold warnings back, and show every different one once afterwards."""
    seen: dict[tuple[str, int, type[Warning]], str] = {}

    def hold(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,  # noqa: ARG001 - the hook's signature
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        if len(seen) < _MOST_WARNINGS:
            seen.setdefault((filename, lineno, category), str(message))

    with warnings.catch_warnings():
        warnings.showwarning = hold
        yield
    for (filename, lineno, category), text in seen.items():
        warnings.warn_explicit(text, category, filename, lineno)
