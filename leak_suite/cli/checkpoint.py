"""Keeps the run file up to date while a long run measures."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from leak_suite.options import Options
from leak_suite.result import RunResult

if TYPE_CHECKING:
    from leak_suite.checks import RunProgress
    from leak_suite.subject import Spec

__all__ = ["CheckFunction", "Listener", "run_with_checkpoints"]

_FIRST_SECONDS, _INTERVAL_SECONDS = 10.0, 4.0

Listener = Callable[["RunProgress"], None]


class CheckFunction(Protocol):
    """What measures and judges: `leak_suite.checks.check`, or what a test puts in its place."""

    def __call__(
        self, spec: Spec, options: Options, /, *, on_progress: Listener | None = None
    ) -> RunResult:
        """The result of the run."""


def run_with_checkpoints(
    check: CheckFunction,
    spec: Spec,
    options: Options,
    *,
    output: Path | None,
    on_progress: Listener | None = None,
) -> RunResult:
    """The result of `check`; if it is interrupted, the result of what had been read by then.

    The result so far is written to `output` every few seconds of a long run, and once before
    attribution.
    """
    from leak_suite.errors import Interrupted

    listeners: list[Listener] = [_import_console_early]
    if on_progress is not None:
        listeners.append(on_progress)
    if output is not None:
        listeners.append(_writer(output))

    def notify(event: RunProgress) -> None:
        for listener in listeners:
            listener(event)

    try:
        return check(spec, options, on_progress=notify)
    except Interrupted as end:
        return end.result


def _import_console_early(event: RunProgress) -> None:
    """Import what draws the table while the subject works: the import takes longer than drawing."""
    if event.stage == "warming up":
        Thread(target=_import_console, daemon=True).start()


def _import_console() -> None:
    import leak_suite.render.console  # noqa: F401


def _writer(output: Path) -> Listener:
    due = time.monotonic() + _FIRST_SECONDS

    def write(event: RunProgress) -> None:
        nonlocal due
        if event.result is None or (event.stage == "measuring" and time.monotonic() < due):
            return
        with suppress(OSError):  # writing the final result raises it, after the verdict is printed
            event.result().write(output)
        due = time.monotonic() + _INTERVAL_SECONDS

    return write
