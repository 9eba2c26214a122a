"""Advice on recycling, as a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from leak_suite.recycling import Advice, AdviceKind, Range
from leak_suite.render.document import Document, Lines, Table
from leak_suite.units import format_number, format_value

__all__ = ["advice_document"]

_SPANS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def advice_document(advice: Advice) -> Document:
    """The verdict, the figures that it comes from, and the lines to set it."""
    figures = Table("Figures", ("", "value", "95% interval"), tuple(_figures(advice)))
    settings = (Lines(setting.program, setting.lines) for setting in advice.settings)
    return Document(
        subject=advice.subject,
        outcome=advice.outcome,
        word=advice.kind.value,
        why=advice.reason,
        sentences=tuple(_sentences(advice)),
        parts=(figures, *settings),
    )


def _figures(advice: Advice) -> Iterator[tuple[str, str, str]]:
    def size(value: float) -> str:
        return format_value(value, "bytes")

    def whole(value: float) -> str:
        return format_number(float(int(value)))

    workers = "1 worker" if advice.workers == 1 else f"{advice.workers} workers"
    yield f"limit for {workers} in all", size(advice.limit), ""
    if advice.base is not None:
        yield "held by fresh workers", size(advice.base), ""
    yield "needed by requests for a moment", size(advice.transient), ""
    if advice.rate is not None:
        name = f"growth a request, by {advice.metric}"
        yield name, size(advice.rate.value), _ends(advice.rate, size)
    if advice.requests is not None:
        yield "requests to the limit", whole(advice.requests.value), _ends(advice.requests, whole)
    if advice.seconds is not None:
        length, unit = _span(advice.seconds.value)

        def time(seconds: float) -> str:
            return format_number(seconds / length)

        yield (
            "time to the limit",
            f"{time(advice.seconds.value)} {unit}",
            _ends(advice.seconds, time),
        )
    if advice.max_requests is not None:
        yield "requests of one worker", whole(advice.max_requests), ""
        yield "and at random up to so many more", whole(advice.jitter or 0), ""
    if advice.max_memory_per_child is not None:
        yield "resident memory of one worker", size(advice.max_memory_per_child), ""


def _ends(found: Range, text: Callable[[float], str]) -> str:
    return f"{text(found.low)} to {text(found.high)}"


def _span(seconds: float) -> tuple[float, str]:
    return next((one for one in _SPANS if seconds >= 2 * one[0]), _SPANS[-1])


def _sentences(advice: Advice) -> Iterator[str]:
    if advice.kind is AdviceKind.RECYCLE and advice.pace is not None:
        source = (
            "as given" if advice.pace_given else "the pace of the run, not that of your traffic"
        )
        yield f"Time is at {format_number(advice.pace)} requests a second ({source})."
        yield (
            "Settings are for the fast end of the interval, with a tenth of the headroom left: "
            "requests do not spread evenly over workers."
        )
    yield from advice.remarks
