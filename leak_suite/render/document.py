"""A report in parts that every format can show: a verdict, sentences, tables, lines, pictures."""

from __future__ import annotations

from dataclasses import dataclass

from leak_suite.result import Outcome

__all__ = ["Bar", "Chart", "Document", "Lines", "Part", "Picture", "Table"]


@dataclass(frozen=True)
class Table:
    """Rows under a head; all columns but the first hold numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Lines:
    """Lines that are to be copied as they are."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Bar:
    """One bar of a picture: what it stands for, and the parts that it is made of, each above 0."""

    label: str
    parts: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Picture:
    """Bars on one scale, in bytes. Formats of plain text leave it out: a table says the same."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Chart:
    """One value for each label, None where there is none, and what each is in words.

    A level begins at each of `changes`; across `breaks` nothing is comparable. Formats of plain
    text leave it out.
    """

    title: str
    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    texts: tuple[str, ...]
    changes: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()


Part = Table | Lines | Picture | Chart


@dataclass(frozen=True)
class Document:
    """What a report says, whatever its format. `word` is the verdict, `why` its one sentence.

    `command` is what it is about, where that was a run.
    """

    subject: str
    outcome: Outcome
    word: str
    why: str
    sentences: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    command: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """The verdict and its reason in one line."""
        return f"{self.word.upper()}: {self.why}"
