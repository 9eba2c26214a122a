"""A fit as a terminal shows it: the verdict, what was used, what was killed, the smallest limit."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from leak_suite.fit.result import FitResult, MinimumSearch, PageCacheDrop
from leak_suite.render.string_console import StringConsole
from leak_suite.units import format_duration, format_value

__all__ = ["FIT_WORDS", "fit_console", "fit_facts"]

FIT_WORDS = {True: "fits", False: "does not fit", None: "inconclusive"}
"""What the verdict is called, by `FitResult.fits`."""
_STYLES = {True: "bold green", False: "bold red", None: "bold yellow"}
_PEAKS = (
    ("anon", "peak anonymous"),
    ("file", "peak file (page cache)"),
    ("kernel", "peak kernel"),
    ("unreclaimable", "peak unreclaimable"),
    ("pss", "peak PSS of all"),
)


def fit_console(result: FitResult, *, width: int = 80, colour: bool = False) -> str:
    """The whole result, no line wider than `width`; plain text unless `colour`."""
    terminal = StringConsole(width=width, colour=colour)
    head = Text(FIT_WORDS[result.fits].upper(), _STYLES[result.fits])
    terminal.print(head.append(f": {result.sentence}", "none"))
    for line in _lines(result):
        terminal.print(Text(line, overflow="fold"))
    return terminal.text()


def fit_facts(result: FitResult) -> Iterator[tuple[str, str]]:
    """What a fit comes to: the limit, the peak under it, the headroom, the smallest limit."""
    backend = result.limit.backend if result.limit.enforced else "not enforced"
    yield "limit", f"{_bytes(result.limit.bytes)} ({backend})"
    peak = result.peak
    yield "peak", _bytes(peak.pss if peak.unreclaimable is None else peak.unreclaimable)
    if result.headroom is not None:
        yield "headroom", _bytes(result.headroom.bytes)
    if result.minimum is not None:
        yield "smallest limit that passes", _smallest(result.minimum)


def _lines(result: FitResult) -> Iterator[str]:
    took = format_duration(result.seconds)
    yield f"{result.subject}, {result.iterations:,} iterations in {took}"
    limit = result.limit
    how = f"limit set by {limit.backend}, swap {limit.swap}" if limit.enforced else "no limit set"
    yield f"{how}, {result.users} {'user' if result.users == 1 else 'users'}"
    for backend, reason in limit.unavailable.items():
        yield f"  {backend} does not work here: {reason}"
    yield ""
    for name, label in _PEAKS:
        yield f"{label:<26}{_bytes(getattr(result.peak, name)):>12}"
    if result.headroom is not None:
        amount = f"{_bytes(result.headroom.bytes):>12}"
        yield f"{'headroom':<26}{amount}  (limit - {result.headroom.measured_from})"
    if result.slowdown is not None:
        yield f"{'pace':<22}{result.slowdown:.2f} times the seconds it takes without a limit"
    for one in result.killed:
        who = "the server" if one.is_server else "a process under the server"
        yield f"killed: {who}, pid {one.pid}, at {_bytes(one.anon)}: {one.command}"
    if result.minimum is not None:
        yield from _search(result.minimum)
    if result.page_cache is not None:
        yield from _page_cache(result.page_cache)


def _search(minimum: MinimumSearch) -> Iterator[str]:
    yield ""
    if minimum.bytes is None:
        yield "no limit that was tried passes"
    else:
        yield (
            f"smallest limit that passes: {_bytes(minimum.bytes)} (to {_bytes(minimum.tolerance)})"
        )
    for step in minimum.steps:
        word = "passes" if step.passed else step.cause.value
        yield f"  {_bytes(step.limit):>10}  {word}, {step.iterations} iterations"


def _smallest(minimum: MinimumSearch) -> str:
    return "none that was tried" if minimum.bytes is None else _bytes(minimum.bytes)


def _page_cache(dropped: PageCacheDrop) -> Iterator[str]:
    yield ""
    yield (
        f"page cache dropped by {dropped.method}; of {_bytes(dropped.bytes)} in "
        f"{dropped.files} files {_bytes(dropped.still_cached)} stayed, mapped by others"
    )


def _bytes(value: float | None) -> str:
    return format_value(value, "bytes")
