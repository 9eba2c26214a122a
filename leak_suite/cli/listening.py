"""What the command does while a run measures: keep the run file up to date, import, show."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from leak_suite.options import Options
from leak_suite.result import RunResult

if TYPE_CHECKING:
    from leak_suite.subject import Spec

__all__ = ["Listener", "listened"]

Listener = Callable[[Any], None]

_UNTIL_KEPT_SECONDS, _KEPT_EVERY_SECONDS = 10.0, 4.0


def listened(
    check: Callable[..., RunResult], spec: Spec, options: Options, shown: Listener | None
) -> RunResult:
    """The result of `check`, with what was judged by then if it was interrupted."""
    from leak_suite.check import Interrupted

    listeners: list[Listener] = [_import_ahead]
    if shown is not None:
        listeners.append(shown)
    if options.output is not None:
        listeners.append(_keep(options.output))

    def tell(news: Any) -> None:
        for listener in listeners:
            listener(news)

    try:
        return check(spec, options, on_progress=tell)
    except Interrupted as end:
        return end.result


def _import_ahead(news: Any) -> None:
    """Import what draws the table while the subject works: that takes longer than drawing."""
    if news.stage == "warming up":
        Thread(target=_import_console, daemon=True).start()


def _import_console() -> None:
    import leak_suite.render.console  # noqa: F401


def _keep(output: Path) -> Listener:
    """Write the run file every few seconds of a long run, so that it can be read meanwhile.

    And once before attribution, whatever becomes of that.
    """
    due = time.monotonic() + _UNTIL_KEPT_SECONDS

    def listen(news: Any) -> None:
        nonlocal due
        if news.result is None or (news.stage == "measuring" and time.monotonic() < due):
            return
        with suppress(OSError):  # the last one will say so, with the verdict printed before
            news.result().write(output)
        due = time.monotonic() + _KEPT_EVERY_SECONDS

    return listen
