"""A document as one HTML page that needs nothing but itself; pictures are boxes, charts are SVG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leak_suite.render.document import Chart, Document, Lines, Picture, Table
from leak_suite.render.html_page import fill
from leak_suite.render.html_theme import PARTS
from leak_suite.units import format_value

__all__ = ["document_page"]

_WIDTH, _HEIGHT, _MARGIN = 720, 140, 10  # of a chart's view box


@dataclass(frozen=True)
class BoxView:
    """One part of a bar: `width` in percent of the widest bar, `colour` a number."""

    name: str
    value: str
    width: str
    colour: int


@dataclass(frozen=True)
class BarView:
    """One bar, and what it is in words for those who do not see it."""

    label: str
    total: str
    words: str
    boxes: tuple[BoxView, ...]


@dataclass(frozen=True)
class PointView:
    """One point of a chart, in its view box; `changed` where a level begins with it."""

    x: float
    y: float
    words: str
    changed: bool


@dataclass(frozen=True)
class ChartView:
    """A chart: `lines` join the points of one level, `breaks` are the borders of what compares."""

    lines: tuple[str, ...]
    points: tuple[PointView, ...]
    breaks: tuple[float, ...]
    words: str
    width: int = _WIDTH
    height: int = _HEIGHT


@dataclass(frozen=True)
class PartView:
    """One part of the document; what does not belong to its kind is empty."""

    kind: str
    title: str
    table: Table | None = None
    lines: tuple[str, ...] = ()
    bars: tuple[BarView, ...] = ()
    legend: tuple[BoxView, ...] = ()
    chart: ChartView | None = None


def document_page(document: Document) -> str:
    """The page of one document."""
    return fill("document.html.j2", page=document, parts=tuple(_parts(document)))


def _parts(document: Document) -> Iterator[PartView]:
    for part in document.parts:
        if isinstance(part, Table):
            yield PartView("table", part.title, table=part)
        elif isinstance(part, Lines):
            yield PartView("lines", part.title, lines=part.lines)
        elif isinstance(part, Chart):
            yield PartView("chart", part.title, chart=_chart(part))
        else:
            yield _picture(part)


def _picture(picture: Picture) -> PartView:
    names = list(dict.fromkeys(name for bar in picture.bars for name, _ in bar.parts))
    colours = {name: number % PARTS for number, name in enumerate(names)}
    widest = max((sum(value for _, value in bar.parts) for bar in picture.bars), default=0.0) or 1.0
    bars = []
    for bar in picture.bars:
        boxes = tuple(
            BoxView(
                name, format_value(value, "bytes"), f"{100 * value / widest:.3f}", colours[name]
            )
            for name, value in bar.parts
        )
        words = ", ".join(f"{box.name} {box.value}" for box in boxes)
        total = format_value(sum(value for _, value in bar.parts), "bytes")
        bars.append(BarView(bar.label, total, words, boxes))
    legend = tuple(BoxView(name, "", "", colours[name]) for name in names)
    return PartView("picture", picture.title, bars=tuple(bars), legend=legend)


def _chart(chart: Chart) -> ChartView:
    """Values from zero up: a change looks as large as it is."""
    top = max((abs(value) for value in chart.values if value is not None), default=0.0) or 1.0
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(chart.values) - 1)
    starts = {0, *chart.changes, *chart.breaks}
    lines: list[list[str]] = []
    points = []
    for place, value in enumerate(chart.values):
        if place in starts or not lines:
            lines.append([])
        if value is None:
            continue
        x = round(_MARGIN + place * step, 1)
        y = round(_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * value / top, 1)
        lines[-1].append(f"{x},{y}")
        words = f"{chart.labels[place]}: {chart.texts[place]}"
        points.append(PointView(x, y, words, place in chart.changes))
    return ChartView(
        lines=tuple(" ".join(line) for line in lines if line),
        points=tuple(points),
        breaks=tuple(round(_MARGIN + (place - 0.5) * step, 1) for place in chart.breaks),
        words="; ".join(point.words for point in points),
    )
