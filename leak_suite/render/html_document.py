"""A document as one HTML page that needs nothing but itself; its picture is drawn with boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leak_suite.render.document import Document, Lines, Picture, Table
from leak_suite.render.html_page import fill
from leak_suite.render.html_theme import PARTS
from leak_suite.units import format_value

__all__ = ["document_page"]


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
class PartView:
    """One part of the document; what does not belong to its kind is empty."""

    kind: str
    title: str
    table: Table | None = None
    lines: tuple[str, ...] = ()
    bars: tuple[BarView, ...] = ()
    legend: tuple[BoxView, ...] = ()


def document_page(document: Document) -> str:
    """The page of one document."""
    return fill("document.html.j2", page=document, parts=tuple(_parts(document)))


def _parts(document: Document) -> Iterator[PartView]:
    for part in document.parts:
        if isinstance(part, Table):
            yield PartView("table", part.title, table=part)
        elif isinstance(part, Lines):
            yield PartView("lines", part.title, lines=part.lines)
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
